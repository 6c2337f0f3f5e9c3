#include "kernels.h"
#include "vector.h"

// Mean and 1 / sqrt(variance + epsilon) of `count` values, in two passes.
INLINE void moments(const float *x, size_t count, float epsilon, float *mean, float *inverse_deviation) {
  LANE_SUM(sum, count, x[i]);
  float m = sum / (float)count;
  LANE_SUM(squares, count, (x[i] - m) * (x[i] - m));
  *mean = m;
  *inverse_deviation = 1.0f / sqrtf(squares / (float)count + epsilon);
}

INLINE void group_norm(
  int activate, const float *x, const float *weight, const float *bias, float *restrict out, size_t channels,
  size_t plane, float epsilon, float *mean, float *inverse_deviation) {
  moments(x, channels * plane, epsilon, mean, inverse_deviation);
  for (size_t c = 0; c < channels; c++) {
    float scale = weight[c] * *inverse_deviation;
    float offset = fused(-*mean, scale, bias[c]);
    for (size_t i = 0; i < plane; i++) {
      float n = fused(x[c * plane + i], scale, offset);
      out[c * plane + i] = activate ? silu(n) : n;
    }
  }
}

KERNEL void lethe_group_norm(
  int activate, const float *x, const float *weight, const float *bias, float *restrict out, size_t channels,
  size_t plane, float epsilon, float *mean, float *inverse_deviation) {
  if (activate)
    group_norm(1, x, weight, bias, out, channels, plane, epsilon, mean, inverse_deviation);
  else
    group_norm(0, x, weight, bias, out, channels, plane, epsilon, mean, inverse_deviation);
}

// With n = (x - mean) * inverse and h = gradient * weight, over the `count` values of the group:
// x_gradient = inverse * (h - mean(h) - n * mean(h * n)).
INLINE void group_norm_backward(
  const float *x, const float *weight, const float *gradient, float mean, float inverse, float *restrict x_gradient,
  float *restrict weight_gradient, float *restrict bias_gradient, size_t channels, size_t plane) {
  float sum_h = 0, sum_hn = 0;
  for (size_t c = 0; c < channels; c++) {
    const float *xc = x + c * plane, *gc = gradient + c * plane;
    LANE_SUM(sum_g, plane, gc[i]);
    LANE_SUM(sum_gn, plane, gc[i] * ((xc[i] - mean) * inverse));
    bias_gradient[c] += sum_g;
    weight_gradient[c] += sum_gn;
    sum_h += weight[c] * sum_g;
    sum_hn += weight[c] * sum_gn;
  }
  float count = (float)(channels * plane);
  float mean_h = sum_h / count, mean_hn = sum_hn / count;
  for (size_t c = 0; c < channels; c++) {
    const float *xc = x + c * plane, *gc = gradient + c * plane;
    float w = weight[c];
    for (size_t i = 0; i < plane; i++) {
      float n = (xc[i] - mean) * inverse;
      x_gradient[c * plane + i] = inverse * (fused(gc[i], w, -mean_h) - n * mean_hn);
    }
  }
}

KERNEL void lethe_group_norm_backward(
  int activated, const float *x, const float *weight, const float *bias, const float *gradient, float mean,
  float inverse_deviation, float *restrict x_gradient, float *restrict weight_gradient, float *restrict bias_gradient,
  size_t channels, size_t plane) {
  if (!activated) {
    group_norm_backward(
      x, weight, gradient, mean, inverse_deviation, x_gradient, weight_gradient, bias_gradient, channels, plane);
    return;
  }
  for (size_t c = 0; c < channels; c++) {
    float scale = weight[c] * inverse_deviation;
    float offset = fused(-mean, scale, bias[c]);
    for (size_t i = c * plane; i < (c + 1) * plane; i++)
      x_gradient[i] = silu_gradient(fused(x[i], scale, offset), gradient[i]);
  }
  // From here on x_gradient is read as the gradient of what was activated, each value before it is replaced.
  group_norm_backward(
    x, weight, x_gradient, mean, inverse_deviation, x_gradient, weight_gradient, bias_gradient, channels, plane);
}

KERNEL void lethe_layer_norm(
  const float *x, const float *weight, const float *bias, float *restrict out, size_t rows, size_t columns,
  float epsilon, float *mean, float *inverse_deviation) {
  for (size_t r = 0; r < rows; r++) {
    const float *row = x + r * columns;
    moments(row, columns, epsilon, &mean[r], &inverse_deviation[r]);
    float m = mean[r], inverse = inverse_deviation[r];
    for (size_t c = 0; c < columns; c++) out[r * columns + c] = fused((row[c] - m) * inverse, weight[c], bias[c]);
  }
}

KERNEL void lethe_layer_norm_backward(
  const float *x, const float *weight, const float *gradient, const float *mean, const float *inverse_deviation,
  float *restrict x_gradient, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + r * columns, *gr = gradient + r * columns;
    float m = mean[r], inverse = inverse_deviation[r];
    LANE_SUM(sum_h, columns, gr[i] * weight[i]);
    LANE_SUM(sum_hn, columns, gr[i] * weight[i] * ((xr[i] - m) * inverse));
    float mean_h = sum_h / (float)columns, mean_hn = sum_hn / (float)columns;
    for (size_t c = 0; c < columns; c++) {
      float n = (xr[c] - m) * inverse;
      x_gradient[r * columns + c] = inverse * (fused(gr[c], weight[c], -mean_h) - n * mean_hn);
    }
  }
}

KERNEL void lethe_layer_norm_weight_gradients(
  const float *x, const float *gradient, size_t row_stride, const float *mean, const float *inverse_deviation,
  float *restrict weight_gradient, float *restrict bias_gradient, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *xr = x + r * row_stride, *gr = gradient + r * row_stride;
    float m = mean[r], inverse = inverse_deviation[r];
    for (size_t c = 0; c < columns; c++) {
      weight_gradient[c] = fused(gr[c], (xr[c] - m) * inverse, weight_gradient[c]);
      bias_gradient[c] += gr[c];
    }
  }
}
