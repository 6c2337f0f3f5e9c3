#include "kernels.h"
#include "vector.h"

INLINE float half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;
  // Shifted into place, a half's exponent is 112 too small; multiplying by 2^112 mends normal and subnormal alike.
  float value = bits_to_float((int)(magnitude << 13)) * 0x1p112f;
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = magnitude >= 0x7c00 ? (magnitude << 13) | 0x7f800000 : bits;
  return bits_to_float((int)(bits | sign));
}

INLINE uint16_t float_to_half(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  uint32_t sign = bits & 0x80000000u, magnitude = bits ^ sign;
  uint32_t result;
  if (magnitude >= 0x47800000) {  // too large for a half: infinity, or not a number
    result = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  } else if (magnitude < 0x38800000) {  // subnormal: adding 0.5 lets the adder round at the right place
    float shifted = bits_to_float((int)magnitude) + 0.5f;
    memcpy(&result, &shifted, 4);
    result -= 0x3f000000;
  } else {
    uint32_t odd = (magnitude >> 13) & 1;
    result = (magnitude - 0x38000000 + 0xfff + odd) >> 13;
  }
  return (uint16_t)(result | sign >> 16);
}

KERNEL void lethe_from_half(const uint16_t *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = half_to_float(x[i]);
}

KERNEL void lethe_from_bfloat(const uint16_t *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = bits_to_float((int)((uint32_t)x[i] << 16));
}

void lethe_to_half(const float *x, uint16_t *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = float_to_half(x[i]);
}
