#include "kernels.h"
#include "vector.h"

// Scores of one panel of targets: row s has those of source s, one target a column. Sources come in blocks, and what is
// known of a target so far, its largest score and its sum, is brought up to date with each (Milakov and Gimelshein,
// "Online normalizer calculation for softmax", 2018).

#define VISIBLE(s, t) (!causal || first_source + (s) <= first_target + (t))

KERNEL void lethe_attention_block(
  float *restrict scores, size_t sources, float scale, int causal, size_t first_source, size_t first_target,
  float *restrict top, float *restrict sum, float *restrict correction) {
  float largest[LETHE_PANEL], total[LETHE_PANEL] = {0};
  for (size_t t = 0; t < LETHE_PANEL; t++) largest[t] = top[t];
  for (size_t s = 0; s < sources; s++) {
    const float *row = scores + s * LETHE_PANEL;
    if (causal)
      for (size_t t = 0; t < LETHE_PANEL; t++)
        largest[t] = VISIBLE(s, t) ? maximum(row[t] * scale, largest[t]) : largest[t];
    else
      for (size_t t = 0; t < LETHE_PANEL; t++) largest[t] = maximum(row[t] * scale, largest[t]);
  }
  for (size_t s = 0; s < sources; s++) {
    float *row = scores + s * LETHE_PANEL;
    for (size_t t = 0; t < LETHE_PANEL; t++) row[t] = exponential(row[t] * scale - largest[t]);
    if (causal)
      for (size_t t = 0; t < LETHE_PANEL; t++) row[t] = VISIBLE(s, t) ? row[t] : 0;
    for (size_t t = 0; t < LETHE_PANEL; t++) total[t] += row[t];
  }
  for (size_t t = 0; t < LETHE_PANEL; t++) {
    correction[t] = exponential(top[t] - largest[t]);
    sum[t] = fused(sum[t], correction[t], total[t]);
    top[t] = largest[t];
  }
}

KERNEL void lethe_scale_columns(float *restrict x, size_t rows, const float *factors) {
  for (size_t r = 0; r < rows; r++)
    for (size_t t = 0; t < LETHE_PANEL; t++) x[r * LETHE_PANEL + t] *= factors[t];
}

KERNEL void lethe_unpack_panel(
  const float *restrict panel, size_t rows, size_t columns, const float *factors, float *restrict out,
  size_t row_stride) {
  for (size_t t = 0; t < columns; t++) {
    float factor = factors ? factors[t] : 1.0f;
    for (size_t r = 0; r < rows; r++) out[t * row_stride + r] = panel[r * LETHE_PANEL + t] * factor;
  }
}

KERNEL void lethe_attention_probabilities(
  float *restrict scores, size_t sources, float scale, int causal, size_t first_source, size_t first_target,
  const float *logarithms) {
  for (size_t s = 0; s < sources; s++) {
    float *row = scores + s * LETHE_PANEL;
    for (size_t t = 0; t < LETHE_PANEL; t++) row[t] = exponential(row[t] * scale - logarithms[t]);
    if (causal)
      for (size_t t = 0; t < LETHE_PANEL; t++) row[t] = VISIBLE(s, t) ? row[t] : 0;
  }
}

KERNEL void lethe_attention_score_gradient(
  const float *probabilities, float *restrict gradient, size_t sources, float scale, const float *means) {
  for (size_t s = 0; s < sources; s++) {
    const float *p = probabilities + s * LETHE_PANEL;
    float *g = gradient + s * LETHE_PANEL;
    for (size_t t = 0; t < LETHE_PANEL; t++) g[t] = scale * p[t] * (g[t] - means[t]);
  }
}

KERNEL void lethe_attention_means(
  const float *probabilities, const float *gradient, size_t sources, float *restrict means) {
  for (size_t t = 0; t < LETHE_PANEL; t++) means[t] = 0;
  for (size_t s = 0; s < sources; s++) {
    const float *p = probabilities + s * LETHE_PANEL, *g = gradient + s * LETHE_PANEL;
    for (size_t t = 0; t < LETHE_PANEL; t++) means[t] += p[t] * g[t];
  }
}

KERNEL void lethe_row_products(
  const float *a, const float *b, size_t row_stride, size_t rows, size_t columns, float *restrict out) {
  for (size_t r = 0; r < rows; r++) {
    const float *x = a + r * row_stride, *y = b + r * row_stride;
    LANE_SUM(sum, columns, x[i] * y[i]);
    out[r] = sum;
  }
}
