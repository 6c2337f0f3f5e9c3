#pragma once

#include "vector.h"

// Sixteen values at a time, in one register where the processor has such wide ones and in several where it has not.
typedef float wide __attribute__((vector_size(64), aligned(4), may_alias));

// A kernel that may use registers of 512 bits; clang takes those of 256 by itself.
#define WIDE_KERNEL KERNEL __attribute__((min_vector_width(512)))

#define UNROLL _Pragma("clang loop unroll(full)")



// Macros, since a function of vectors would have another calling convention on each processor.
#define WIDE_FUSED(a, b, c) __builtin_elementwise_fma(a, b, c)
#define WIDE_VALUE(x) ((wide){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x})

// out[p * out_stride + j] = x[j][p] for 16 rows x[j] and 16 values p of each.
INLINE void transpose_16(const float *const *x, float *restrict out, size_t out_stride) {
  wide rows[16], pairs[16];
  UNROLL for (int i = 0; i < 16; i++) rows[i] = *(const wide *)x[i];
#define EXCHANGE(from, to, step, low, high)                                         \
  UNROLL for (int i = 0; i < 16; i++) if ((i & step) == 0) {                        \
    to[i] = __builtin_shufflevector(from[i], from[i + step], low);                  \
    to[i + step] = __builtin_shufflevector(from[i], from[i + step], high);          \
  }
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
  EXCHANGE(rows, pairs, 1, LOW1, HIGH1)
  EXCHANGE(pairs, rows, 2, LOW2, HIGH2)
  EXCHANGE(rows, pairs, 4, LOW4, HIGH4)
  EXCHANGE(pairs, rows, 8, LOW8, HIGH8)
  UNROLL for (int i = 0; i < 16; i++) *(wide *)(out + i * out_stride) = rows[i];
}
