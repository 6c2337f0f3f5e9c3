#define _GNU_SOURCE
#include "kernels.h"

#include <stdlib.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

void lethe_keep_freed_memory(void) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
  mallopt(M_ARENA_MAX, 1);  // the heaps of further arenas are trimmed whatever the threshold
#endif
}

// A pass through a small network takes and gives back thousands of blocks of a few sizes. Each thread keeps those that
// it gave back, the last on top, so that it waits for no other and finds what is still in its cache.

enum { STEPS = 8, SMALLEST = 6, OCTAVES = 18 - 9 + 1, CLASSES = (OCTAVES + 1) * STEPS };
// Blocks of one size, and bytes of all, that a thread keeps.
enum { DEPTH = 16, MOST_BYTES = 8 << 20 };

static _Thread_local struct {
  void *blocks[CLASSES][DEPTH];
  unsigned char counts[CLASSES];
  size_t bytes;
} kept;

// Sizes an eighth of a power of two apart, and 64 bytes at least.
static size_t whole_size(size_t bytes, size_t *class) {
  if (bytes < 1 << 9) {
    *class = (bytes + 63) >> SMALLEST;
    return *class << SMALLEST;
  }
  unsigned octave = 63 - (unsigned)__builtin_clzll(bytes), shift = octave - 3;
  size_t eighths = (bytes + ((size_t)1 << shift) - 1) >> shift;  // 8 ... 16
  *class = (octave - 9 + 1) * STEPS + (eighths - STEPS);
  return eighths << shift;
}

void *lethe_take_block(size_t bytes) {
  size_t class, size = whole_size(bytes > 0 ? bytes : 1, &class);
  if (class < CLASSES && kept.counts[class] > 0) {
    kept.bytes -= size;
    return kept.blocks[class][--kept.counts[class]];
  }
  void *block;
  return posix_memalign(&block, 64, size) == 0 ? block : NULL;
}

void lethe_give_block(void *block, size_t bytes) {
  size_t class, size = whole_size(bytes > 0 ? bytes : 1, &class);
  if (class < CLASSES && kept.counts[class] < DEPTH && kept.bytes + size <= MOST_BYTES) {
    kept.bytes += size;
    kept.blocks[class][kept.counts[class]++] = block;
  } else {
    free(block);
  }
}
