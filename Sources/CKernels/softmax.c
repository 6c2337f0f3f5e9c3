#include "kernels.h"
#include "vector.h"

INLINE float row_maximum(const float *x, size_t count) {
  float lanes[LANES];
  for (size_t l = 0; l < LANES; l++) lanes[l] = x[0];
  size_t base = 0;
  for (; base + LANES <= count; base += LANES)
    for (size_t l = 0; l < LANES; l++) lanes[l] = maximum(lanes[l], x[base + l]);
  for (size_t l = 0; base + l < count; l++) lanes[l] = maximum(lanes[l], x[base + l]);
  float result = lanes[0];
  for (size_t l = 1; l < LANES; l++) result = maximum(result, lanes[l]);
  return result;
}

KERNEL void lethe_softmax(
  const float *x, float *restrict out, size_t rows, size_t columns, float scale, int causal, size_t first_row) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + r * columns;
    float *o = out + r * columns;
    size_t visible = causal && r + first_row + 1 < columns ? r + first_row + 1 : columns;
    float top = row_maximum(xr, visible);
    for (size_t c = 0; c < visible; c++) o[c] = exponential((xr[c] - top) * scale);
    LANE_SUM(sum, visible, o[i]);
    float inverse = 1.0f / sum;
    for (size_t c = 0; c < visible; c++) o[c] *= inverse;
    for (size_t c = visible; c < columns; c++) o[c] = 0;
  }
}

// In place where out is the gradient.
KERNEL void lethe_softmax_backward(
  const float *p, const float *gradient, float *out, size_t rows, size_t columns, float scale) {
  for (size_t r = 0; r < rows; r++) {
    const float *pr = p + r * columns, *gr = gradient + r * columns;
    LANE_SUM(sum, columns, pr[i] * gr[i]);
    for (size_t c = 0; c < columns; c++) out[r * columns + c] = scale * pr[c] * (gr[c] - sum);
  }
}

KERNEL void lethe_log_softmax(const float *x, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + r * columns;
    float top = row_maximum(xr, columns);
    LANE_SUM(sum, columns, exponential(xr[i] - top));
    // One after the other: top + log(sum) would lose the logarithm beside a large top.
    float logarithm = logf(sum);
    for (size_t c = 0; c < columns; c++) out[r * columns + c] = (xr[c] - top) - logarithm;
  }
}

KERNEL void lethe_log_softmax_backward(
  const float *y, const float *gradient, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *yr = y + r * columns, *gr = gradient + r * columns;
    LANE_SUM(sum, columns, gr[i]);
    for (size_t c = 0; c < columns; c++) out[r * columns + c] = fused(-exponential(yr[c]), sum, gr[c]);
  }
}
