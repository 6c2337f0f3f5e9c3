#include "kernels.h"
#include "vector.h"

#define DOUBLE_SUM(f)                                             \
  double lanes[LANES] = {0};                                      \
  size_t base = 0;                                                \
  for (; base + LANES <= count; base += LANES)                    \
    for (size_t l = 0; l < LANES; l++) {                          \
      double v = x[base + l];                                     \
      lanes[l] += (f);                                            \
    }                                                             \
  for (size_t l = 0; base + l < count; l++) {                     \
    double v = x[base + l];                                       \
    lanes[l] += (f);                                              \
  }                                                               \
  for (int width = LANES / 2; width > 0; width /= 2)              \
    for (int l = 0; l < width; l++) lanes[l] += lanes[l + width]; \
  return lanes[0];

KERNEL double lethe_sum(const float *x, size_t count) { DOUBLE_SUM(v) }
KERNEL double lethe_sum_of_squares(const float *x, size_t count) { DOUBLE_SUM(v * v) }

KERNEL void lethe_add_rows(const float *x, size_t row_stride, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) out[c] += x[r * row_stride + c];
}

KERNEL void lethe_add_columns(const float *x, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *row = x + r * columns;
    LANE_SUM(sum, columns, row[i]);
    out[r] += sum;
  }
}
