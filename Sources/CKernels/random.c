#include "kernels.h"

static inline void round_once(uint32_t c[4], uint32_t k0, uint32_t k1) {
  uint64_t p0 = (uint64_t)0xD2511F53u * c[0], p1 = (uint64_t)0xCD9E8D57u * c[2];
  uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
  for (int i = 0; i < 4; i++) c[i] = next[i];
}

void lethe_philox(const uint32_t key[2], uint64_t counter_low, uint64_t counter_high, uint32_t *out, size_t blocks) {
  for (size_t b = 0; b < blocks; b++) {
    uint64_t low = counter_low + b;
    uint32_t c[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)counter_high, (uint32_t)(counter_high >> 32)};
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
      round_once(c, k0, k1);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++) out[4 * b + i] = c[i];
  }
}
