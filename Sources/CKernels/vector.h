#pragma once

#include <math.h>
#include <string.h>

// Compiled once for each level of the x86-64 instruction set and chosen when the program starts.
#if defined(__x86_64__)
#define KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KERNEL
#endif
#define INLINE static inline __attribute__((always_inline))

// Sums run in this many independent lanes, folded in a fixed order, on every processor.
#define LANES 16

INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

INLINE float maximum(float a, float b) { return a > b ? a : b; }

INLINE float bits_to_float(int bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE unsigned float_to_bits(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// e^x within 2 units in the last place. x = n ln 2 + r with |r| <= ln(2) / 2, and a Taylor polynomial of degree 7
/// for e^r. Adding 1.5 * 2^23 rounds to the nearest integer without a branch, and leaves that integer in the low bits.
/// What is not a number stays so: the comparisons are false for it, and no conversion to an integer is asked of it.
INLINE float exponential(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  const float magic = 12582912.0f;
  float shifted = fused(x, 1.44269504f, magic);
  float n = shifted - magic;
  float r = fused(n, -0.693359375f, x);
  r = fused(n, 2.12194440e-4f, r);
  float p = 1.0f / 5040.0f;
  p = fused(p, r, 1.0f / 720.0f);
  p = fused(p, r, 1.0f / 120.0f);
  p = fused(p, r, 1.0f / 24.0f);
  p = fused(p, r, 1.0f / 6.0f);
  p = fused(p, r, 0.5f);
  p = fused(p, r, 1.0f);
  p = fused(p, r, 1.0f);
  return p * bits_to_float((int)((float_to_bits(shifted) + 127u) << 23));
}

INLINE float logistic(float x) { return 1.0f / (1.0f + exponential(-x)); }

/// x / (1 + e^-x), and its gradient.
INLINE float silu(float x) { return x * logistic(x); }
INLINE float silu_gradient(float x, float gradient) {
  float s = logistic(x);
  return gradient * s * fused(x, 1.0f - s, 1.0f);
}

/// The error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26).
INLINE float error_function(float x) {
  float a = fabsf(x);
  float t = 1.0f / fused(0.3275911f, a, 1.0f);
  float p = 1.061405429f;
  p = fused(p, t, -1.453152027f);
  p = fused(p, t, 1.421413741f);
  p = fused(p, t, -0.284496736f);
  p = fused(p, t, 0.254829592f);
  float magnitude = fused(-p * t, exponential(-a * a), 1.0f);
  return copysignf(magnitude, x);
}

INLINE float normal_distribution(float x) { return 0.5f * (1.0f + error_function(x * 0.70710678f)); }
INLINE float normal_density(float x) { return 0.39894228f * exponential(-0.5f * x * x); }

/// Folds lanes pairwise: the one order in which every float sum ends.
INLINE float fold(float *lanes) {
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

/// sum(f) over `count`, `f` an expression in the index i.
#define LANE_SUM(result, count, f)                                   \
  float result;                                                      \
  do {                                                               \
    float lanes_[LANES] = {0};                                       \
    size_t base_ = 0;                                                \
    for (; base_ + LANES <= (count); base_ += LANES)                 \
      for (size_t lane_ = 0; lane_ < LANES; lane_++) {               \
        size_t i = base_ + lane_;                                    \
        lanes_[lane_] += (f);                                        \
      }                                                              \
    for (size_t lane_ = 0; base_ + lane_ < (count); lane_++) {       \
      size_t i = base_ + lane_;                                      \
      lanes_[lane_] += (f);                                          \
    }                                                                \
    result = fold(lanes_);                                           \
  } while (0)
