#include "kernels.h"
#include "vector.h"

#define BINARY(expression)                                                    \
  if (a_step && b_step) {                                                     \
    for (size_t i = 0; i < count; i++) { float p = a[i], q = b[i]; out[i] = expression; } \
  } else if (a_step) {                                                        \
    float q = b[0];                                                           \
    for (size_t i = 0; i < count; i++) { float p = a[i]; out[i] = expression; } \
  } else {                                                                    \
    float p = a[0];                                                           \
    if (b_step) for (size_t i = 0; i < count; i++) { float q = b[i]; out[i] = expression; } \
    else { float q = b[0]; for (size_t i = 0; i < count; i++) out[i] = expression; } \
  }

KERNEL void lethe_binary(
  lethe_binary_op op, const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *restrict out,
  size_t count) {
  switch (op) {
  case LETHE_ADD: BINARY(p + q) break;
  case LETHE_SUBTRACT: BINARY(p - q) break;
  case LETHE_MULTIPLY: BINARY(p * q) break;
  case LETHE_DIVIDE: BINARY(p / q) break;
  }
}

KERNEL void lethe_affine(const float *x, float scale, float offset, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = fused(x[i], scale, offset);
}

KERNEL void lethe_axpy(float scale, const float *x, float *restrict y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = fused(scale, x[i], y[i]);
}

KERNEL void lethe_accumulate_squares(const float *x, float *restrict y, size_t count) {
  for (size_t i = 0; i < count; i++) y[i] = fused(x[i], x[i], y[i]);
}

KERNEL void lethe_fill_each_row(const float *values, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    float value = values[r];
    for (size_t c = 0; c < columns; c++) out[r * columns + c] = value;
  }
}
