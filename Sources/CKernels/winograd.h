#pragma once

#include "wide.h"

// The minimal filterings F(4 x 4, 3 x 3) and F(2 x 2, 3 x 3) of Lavin and Gray ("Fast Algorithms for Convolutional
// Neural Networks", 2015, sections 4.1 and 4.3) along one axis: a tile of 4 or 2 values of the output, the 6 or 4
// values of the input that it comes from, and a filter of 3 taps become 6 or 4 points each. `x(i)` is read and `at(p)`
// set, sixteen values at a time.

#define TIMES(factor, x, y) WIDE_FUSED(WIDE_VALUE(factor), x, y)

// Bᵀ d, one axis.
#define INPUT_POINTS_4(d, at)                                                         \
  do {                                                                                \
    wide even = TIMES(-4.0f, d(2), d(4)), odd = TIMES(-4.0f, d(1), d(3));             \
    wide near = d(4) - d(2), far = 2.0f * (d(3) - d(1));                              \
    at(0) = TIMES(4.0f, d(0), TIMES(-5.0f, d(2), d(4)));                              \
    at(1) = even + odd;                                                               \
    at(2) = even - odd;                                                               \
    at(3) = near + far;                                                               \
    at(4) = near - far;                                                               \
    at(5) = TIMES(4.0f, d(1), TIMES(-5.0f, d(3), d(5)));                              \
  } while (0)

// G g, one axis: the values of a filter of three taps at the points.
#define FILTER_POINTS_4(g, at)                                                        \
  do {                                                                                \
    wide near = (g(0) + g(2)) * (-1.0f / 6.0f), odd = g(1) * (-1.0f / 6.0f);          \
    wide far = TIMES(4.0f, g(2), g(0)) * (1.0f / 24.0f), twice = g(1) * (1.0f / 12.0f); \
    at(0) = 0.25f * g(0);                                                             \
    at(1) = near + odd;                                                               \
    at(2) = near - odd;                                                               \
    at(3) = far + twice;                                                              \
    at(4) = far - twice;                                                              \
    at(5) = g(2);                                                                     \
  } while (0)

// Aᵀ m, one axis: a tile of four values from its points.
#define OUTPUT_VALUES_4(m, at)                                                        \
  do {                                                                                \
    wide s1 = m(1) + m(2), d1 = m(1) - m(2), s2 = m(3) + m(4), d2 = m(3) - m(4);      \
    at(0) = m(0) + s1 + s2;                                                           \
    at(1) = TIMES(2.0f, d2, d1);                                                      \
    at(2) = TIMES(4.0f, s2, s1);                                                      \
    at(3) = TIMES(8.0f, d2, d1) + m(5);                                               \
  } while (0)

// The values of a filter of four taps, which a tile of the output's gradient is, at the points.
#define GRADIENT_POINTS_4(g, at)                                                      \
  do {                                                                                \
    wide even1 = g(0) + g(2), odd1 = g(1) + g(3);                                     \
    wide even2 = TIMES(4.0f, g(2), g(0)), odd2 = 2.0f * TIMES(4.0f, g(3), g(1));      \
    at(0) = 0.25f * g(0);                                                             \
    at(1) = (even1 + odd1) * (-1.0f / 6.0f);                                          \
    at(2) = (even1 - odd1) * (-1.0f / 6.0f);                                          \
    at(3) = (even2 + odd2) * (1.0f / 24.0f);                                          \
    at(4) = (even2 - odd2) * (1.0f / 24.0f);                                          \
    at(5) = g(3);                                                                     \
  } while (0)

// Three taps from their points.
#define TAP_VALUES_4(m, at)                                                           \
  do {                                                                                \
    wide s1 = m(1) + m(2), d1 = m(1) - m(2), s2 = m(3) + m(4), d2 = m(3) - m(4);      \
    at(0) = m(0) + s1 + s2;                                                           \
    at(1) = TIMES(2.0f, d2, d1);                                                      \
    at(2) = TIMES(4.0f, s2, s1) + m(5);                                               \
  } while (0)

// The same for tiles of two values. Their points are 0, 1, -1 and infinity.

#define INPUT_POINTS_2(d, at)                                                         \
  do {                                                                                \
    at(0) = d(0) - d(2);                                                              \
    at(1) = d(1) + d(2);                                                              \
    at(2) = d(2) - d(1);                                                              \
    at(3) = d(1) - d(3);                                                              \
  } while (0)

#define FILTER_POINTS_2(g, at)                                                        \
  do {                                                                                \
    wide even = (g(0) + g(2)) * 0.5f, odd = g(1) * 0.5f;                              \
    at(0) = g(0);                                                                     \
    at(1) = even + odd;                                                               \
    at(2) = even - odd;                                                               \
    at(3) = g(2);                                                                     \
  } while (0)

#define OUTPUT_VALUES_2(m, at)                                                        \
  do {                                                                                \
    at(0) = m(0) + m(1) + m(2);                                                       \
    at(1) = m(1) - m(2) - m(3);                                                       \
  } while (0)

#define GRADIENT_POINTS_2(g, at)                                                      \
  do {                                                                                \
    at(0) = g(0);                                                                     \
    at(1) = g(0) + g(1);                                                              \
    at(2) = g(0) - g(1);                                                              \
    at(3) = -g(1);                                                                    \
  } while (0)

#define TAP_VALUES_2(m, at)                                                           \
  do {                                                                                \
    wide even = (m(1) + m(2)) * 0.5f;                                                 \
    at(0) = m(0) + even;                                                              \
    at(1) = (m(1) - m(2)) * 0.5f;                                                     \
    at(2) = even + m(3);                                                              \
  } while (0)

// A function whose first argument is the size of the tile, compiled for each.
#define BY_TILE(tile, function, ...) \
  do { if ((tile) == 4) function(4, __VA_ARGS__); else function(2, __VA_ARGS__); } while (0)

// By the size of the tile, a constant where they are used.
#define INPUT_POINTS(tile, d, at) \
  do { if ((tile) == 4) INPUT_POINTS_4(d, at); else INPUT_POINTS_2(d, at); } while (0)
#define FILTER_POINTS(tile, g, at) \
  do { if ((tile) == 4) FILTER_POINTS_4(g, at); else FILTER_POINTS_2(g, at); } while (0)
#define OUTPUT_VALUES(tile, m, at) \
  do { if ((tile) == 4) OUTPUT_VALUES_4(m, at); else OUTPUT_VALUES_2(m, at); } while (0)
#define GRADIENT_POINTS(tile, g, at) \
  do { if ((tile) == 4) GRADIENT_POINTS_4(g, at); else GRADIENT_POINTS_2(g, at); } while (0)
#define TAP_VALUES(tile, m, at) \
  do { if ((tile) == 4) TAP_VALUES_4(m, at); else TAP_VALUES_2(m, at); } while (0)

// The points of a filter along both axes from its nine taps, turned by 180 degrees where asked for.
INLINE void filter_points(
  const int tile, int is_turned, const wide *taps, float *restrict points, size_t point_stride) {
  const int count = tile + 2;
  wide half[6][3];
  UNROLL for (int j = 0; j < 3; j++) {
#define G(i) taps[is_turned ? 8 - (3 * (i) + j) : 3 * (i) + j]
#define AT(p) half[p][j]
    FILTER_POINTS(tile, G, AT);
#undef AT
#undef G
  }
  UNROLL for (int i = 0; i < count; i++) {
#define G(j) half[i][j]
#define AT(p) *(wide *)(points + (count * i + (p)) * point_stride)
    FILTER_POINTS(tile, G, AT);
#undef AT
#undef G
  }
}
