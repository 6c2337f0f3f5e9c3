#include "kernels.h"
#include "vector.h"
#include "wide.h"

// Every value of a product is one chain of fused multiply-adds along k, which is broken after LETHE_PRODUCT_DEPTH of
// them. No tile size, processor, cut into threads or neighbour in a batch changes a bit of it.

// One step along k of all values of a tile.
#define STEP(p)                                                                                               \
  do {                                                                                                        \
    wide values[2];                                                                                           \
    UNROLL for (int j = 0; j < vectors; j++) values[j] = *(const wide *)(b + (p) * LETHE_PANEL + 16 * j);     \
    UNROLL for (int i = 0; i < rows; i++) {                                                                   \
      float value = a[by_columns ? (ptrdiff_t)(p) * a_stride + i : i * a_stride + (ptrdiff_t)(p)];            \
      wide factor = WIDE_VALUE(value);                                                                        \
      UNROLL for (int j = 0; j < vectors; j++) sums[i][j] = WIDE_FUSED(factor, values[j], sums[i][j]);        \
    }                                                                                                         \
  } while (0)

// c (rows x 16 * vectors) = or += a * b. All of c stays in registers: rows, vectors and by_columns are constants where
// it is used. The values of a lie in rows a_stride apart, or in columns. Four steps at a time, since a core that shares
// its decoder with another thread has more to do with counting than with sums.
INLINE void tile(
  const int by_columns, const int rows, const int vectors, size_t k, const float *a, ptrdiff_t a_stride,
  const float *b, float *c, size_t c_row, int accumulate) {
  wide sums[12][2];
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) sums[i][j] = (wide){0};
  size_t p = 0;
  for (; p + 4 <= k; p += 4, a += by_columns ? 4 * a_stride : 4, b += 4 * LETHE_PANEL) {
    STEP(0); STEP(1); STEP(2); STEP(3);
  }
  for (; p < k; p++, a += by_columns ? a_stride : 1, b += LETHE_PANEL) STEP(0);
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) {
    wide *out = (wide *)(c + i * c_row + 16 * j);
    *out = accumulate ? *out + sums[i][j] : sums[i][j];
  }
}

// The same for 1 ... most_rows rows, and 1 ... 16 * vectors columns by way of a tile of its own where they are not all
// there.
INLINE void edge_tile(
  const int by_columns, const int most_rows, const int vectors, size_t rows, size_t columns, size_t k, const float *a,
  ptrdiff_t a_stride, const float *b, float *c, size_t c_row, int accumulate) {
  float whole[12 * LETHE_PANEL] __attribute__((aligned(64)));
  int is_whole = columns == (size_t)(16 * vectors);
  float *out = is_whole ? c : whole;
  size_t out_row = is_whole ? c_row : LETHE_PANEL;
  int adds = is_whole && accumulate;
#define ROWS(count)                                                                                  \
  case count:                                                                                        \
    if (count <= most_rows) tile(by_columns, count, vectors, k, a, a_stride, b, out, out_row, adds); \
    break;
  switch (rows) {
    ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
  }
#undef ROWS
  if (is_whole) return;
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) {
      float *value = c + i * c_row + j;
      *value = accumulate ? *value + whole[i * LETHE_PANEL + j] : whole[i * LETHE_PANEL + j];
    }
}

// One panel. Twelve rows of two vectors fill the 32 registers of AVX-512; the 16 of AVX2 hold six rows of half as much.
// All tiles are about as high as each other: one of a row or two alone would wait for its own sums.
INLINE void panel_product(
  const int is_wide, const int by_columns, size_t m, size_t columns, size_t k, const float *a, ptrdiff_t a_stride,
  const float *b, float *c, size_t c_row, int accumulate) {
  const int most_rows = is_wide ? 12 : 6;
  size_t tiles = (m + most_rows - 1) / most_rows, higher = m % tiles;
  size_t width = is_wide && columns > 16 ? LETHE_PANEL : 16;
  for (size_t j = 0; j < columns; j += width)
    for (size_t t = 0, i = 0, rows; t < tiles; t++, i += rows) {
      rows = m / tiles + (t < higher ? 1 : 0);
      size_t there = columns - j < width ? columns - j : width;
      const float *factor = a + (by_columns ? (ptrdiff_t)i : (ptrdiff_t)i * a_stride);
      float *out = c + i * c_row + j;
      if (is_wide && width == LETHE_PANEL)
        edge_tile(by_columns, most_rows, 2, rows, there, k, factor, a_stride, b + j, out, c_row, accumulate);
      else
        edge_tile(by_columns, most_rows, 1, rows, there, k, factor, a_stride, b + j, out, c_row, accumulate);
    }
}

// Rows of a that meet all panels before the next ones: so many stay in a core's second cache.
#define ROWS_TOGETHER 96
// Columns of a that lie so far apart fall on each other in a cache, and are brought together where several panels meet
// them.
#define FAR_APART 256

INLINE void product(
  const int is_wide, const int by_columns, size_t m, size_t n, size_t k, const float *a, ptrdiff_t a_stride,
  const float *panels, size_t panel_stride, float *c, size_t c_row, int accumulate) {
  float together[ROWS_TOGETHER * LETHE_PRODUCT_DEPTH] __attribute__((aligned(64)));
  for (size_t first = 0; first < k; first += LETHE_PRODUCT_DEPTH) {
    size_t depth = k - first < LETHE_PRODUCT_DEPTH ? k - first : LETHE_PRODUCT_DEPTH;
    for (size_t i = 0; i < m; i += ROWS_TOGETHER) {
      size_t rows = m - i < ROWS_TOGETHER ? m - i : ROWS_TOGETHER;
      const float *factor =
        a + (by_columns ? (ptrdiff_t)i + (ptrdiff_t)first * a_stride : (ptrdiff_t)i * a_stride + (ptrdiff_t)first);
      ptrdiff_t stride = a_stride;
      if (by_columns && a_stride >= FAR_APART && n > 2 * LETHE_PANEL) {
        for (size_t p = 0; p < depth; p++)
          memcpy(together + p * ROWS_TOGETHER, factor + (ptrdiff_t)p * a_stride, rows * sizeof(float));
        factor = together;
        stride = ROWS_TOGETHER;
      }
      for (size_t j = 0; j < n; j += LETHE_PANEL)
        panel_product(
          is_wide, by_columns, rows, n - j < LETHE_PANEL ? n - j : LETHE_PANEL, depth, factor, stride,
          panels + j / LETHE_PANEL * panel_stride + first * LETHE_PANEL, c + i * c_row + j, c_row,
          accumulate || first > 0);
    }
  }
}

#define PRODUCT(name, is_wide)                                                                            \
  static void name(                                                                                       \
    size_t m, size_t n, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step, const float *panels, \
    size_t panel_stride, float *c, size_t c_row, int accumulate) {                                        \
    if (a_step == 1)                                                                                      \
      product(is_wide, 0, m, n, k, a, a_row, panels, panel_stride, c, c_row, accumulate);                 \
    else                                                                                                  \
      product(is_wide, 1, m, n, k, a, a_step, panels, panel_stride, c, c_row, accumulate);                \
  }

// No clones: a tile that fills the registers of one processor is too large for the other.
#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4"), min_vector_width(512))) PRODUCT(wide_product, 1)
__attribute__((target_clones("arch=x86-64-v3", "default"))) PRODUCT(narrow_product, 0)
#else
PRODUCT(narrow_product, 0)
#endif

void lethe_packed_product(
  int has_wide_registers, size_t m, size_t n, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *panels, size_t panel_stride, float *c, size_t c_row, int accumulate) {
  if (k == 0 && !accumulate)
    for (size_t i = 0; i < m; i++) memset(c + i * c_row, 0, n * sizeof(float));
#if defined(__x86_64__)
  if (has_wide_registers)
    return wide_product(m, n, k, a, a_row, a_step, panels, panel_stride, c, c_row, accumulate);
#endif
  narrow_product(m, n, k, a, a_row, a_step, panels, panel_stride, c, c_row, accumulate);
}

KERNEL void lethe_pack_rows(const float *x, size_t row_stride, size_t k, size_t n, float *restrict panels) {
  for (size_t first = 0; first < n; first += LETHE_PANEL, panels += k * LETHE_PANEL) {
    size_t width = n - first < LETHE_PANEL ? n - first : LETHE_PANEL;
    for (size_t p = 0; p < k; p++) {
      const float *in = x + p * row_stride + first;
      float *out = panels + p * LETHE_PANEL;
      if (width == LETHE_PANEL)
        for (size_t j = 0; j < LETHE_PANEL; j++) out[j] = in[j];
      else
        for (size_t j = 0; j < LETHE_PANEL; j++) out[j] = j < width ? in[j] : 0;
    }
  }
}

// out[p][j] = x[j][p] for the rows j of a panel.
INLINE void pack_panel(const float *x, size_t row_stride, size_t k, size_t width, float *restrict out) {
  size_t whole = width / 16 * 16, steps = k / 16 * 16;
  for (size_t j = 0; j < whole; j += 16)
    for (size_t p = 0; p < steps; p += 16) {
      const float *rows[16];
      UNROLL for (int i = 0; i < 16; i++) rows[i] = x + (j + i) * row_stride + p;
      transpose_16(rows, out + p * LETHE_PANEL + j, LETHE_PANEL);
    }
  for (size_t p = 0; p < k; p++)
    for (size_t j = p < steps ? whole : 0; j < LETHE_PANEL; j++)
      out[p * LETHE_PANEL + j] = j < width ? x[j * row_stride + p] : 0;
}

WIDE_KERNEL void lethe_pack_columns(
  const float *x, size_t row_stride, size_t k, size_t n, float *restrict panels) {
  for (size_t first = 0; first < n; first += LETHE_PANEL, panels += k * LETHE_PANEL)
    pack_panel(
      x + first * row_stride, row_stride, k, n - first < LETHE_PANEL ? n - first : LETHE_PANEL, panels);
}
