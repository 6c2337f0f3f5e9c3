#include "kernels.h"
#include "vector.h"

KERNEL void lethe_exp(const float *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = exponential(x[i]);
}

KERNEL void lethe_sigmoid(const float *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = logistic(x[i]);
}

KERNEL void lethe_silu(const float *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = silu(x[i]);
}

KERNEL void lethe_silu_backward(const float *x, const float *gradient, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = silu_gradient(x[i], gradient[i]);
}

INLINE float gelu(float x) { return x * normal_distribution(x); }
INLINE float gelu_slope(float x) { return fused(x, normal_density(x), normal_distribution(x)); }

KERNEL void lethe_gelu(const float *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = gelu(x[i]);
}

KERNEL void lethe_gelu_backward(const float *x, const float *gradient, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = gradient[i] * gelu_slope(x[i]);
}

KERNEL void lethe_quick_gelu(const float *x, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = x[i] * logistic(1.702f * x[i]);
}

KERNEL void lethe_quick_gelu_backward(const float *x, const float *gradient, float *restrict out, size_t count) {
  for (size_t i = 0; i < count; i++) {
    float s = logistic(1.702f * x[i]);
    out[i] = gradient[i] * s * fused(1.702f * x[i], 1.0f - s, 1.0f);
  }
}

KERNEL void lethe_geglu(const float *x, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *value = x + 2 * r * columns, *gate = value + columns;
    for (size_t c = 0; c < columns; c++) out[r * columns + c] = value[c] * gelu(gate[c]);
  }
}

KERNEL void lethe_geglu_backward(
  const float *x, const float *gradient, float *restrict out, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    const float *value = x + 2 * r * columns, *gate = value + columns, *g = gradient + r * columns;
    float *value_gradient = out + 2 * r * columns, *gate_gradient = value_gradient + columns;
    for (size_t c = 0; c < columns; c++) {
      value_gradient[c] = g[c] * gelu(gate[c]);
      gate_gradient[c] = g[c] * value[c] * gelu_slope(gate[c]);
    }
  }
}
