#include "kernels.h"
#include "vector.h"
#include "wide.h"

// Every value of a product is one chain of fused multiply-adds along k, which is broken after LETHE_PRODUCT_DEPTH of
// them. No tile size, processor, cut into threads or neighbour in a batch changes a bit of it.

// c (rows x 16 * vectors) = or += a * b. All of c stays in registers: rows and vectors are constants where it is used.
INLINE void tile(
  const int rows, const int vectors, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step, const float *b,
  float *c, size_t c_row, int accumulate) {
  wide sums[12][2];
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) sums[i][j] = (wide){0};
  for (size_t p = 0; p < k; p++) {
    wide values[2];
    UNROLL for (int j = 0; j < vectors; j++) values[j] = *(const wide *)(b + p * LETHE_PANEL + 16 * j);
    UNROLL for (int i = 0; i < rows; i++) {
      float value = a[i * a_row + (ptrdiff_t)p * a_step];
      wide factor = WIDE_VALUE(value);
      UNROLL for (int j = 0; j < vectors; j++) sums[i][j] = WIDE_FUSED(factor, values[j], sums[i][j]);
    }
  }
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) {
    wide *out = (wide *)(c + i * c_row + 16 * j);
    *out = accumulate ? *out + sums[i][j] : sums[i][j];
  }
}

// The same for 1 ... 12 rows, and 1 ... 16 * vectors columns by way of a tile of its own where they are not all there.
INLINE void edge_tile(
  const int vectors, size_t rows, size_t columns, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, float *c, size_t c_row, int accumulate) {
  float whole[12 * LETHE_PANEL] __attribute__((aligned(64)));
  int is_whole = columns == (size_t)(16 * vectors);
  float *out = is_whole ? c : whole;
  size_t out_row = is_whole ? c_row : LETHE_PANEL;
  int adds = is_whole && accumulate;
#define ROWS(count) case count: tile(count, vectors, k, a, a_row, a_step, b, out, out_row, adds); break;
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

// Twelve rows of two vectors fill the 32 registers of AVX-512; the 16 of AVX2 hold six rows of half as much.
#define WIDE_ROWS 12
#define NARROW_ROWS 6

// At most `most` rows a tile, and all tiles about as high as each other: one of a row or two alone would wait for its
// own sums.
INLINE size_t tile_rows(size_t m, size_t most) {
  size_t tiles = (m + most - 1) / most;
  return tiles > 0 ? (m + tiles - 1) / tiles : 1;
}

INLINE void panel_product(
  int has_wide_registers, size_t m, size_t columns, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, float *c, size_t c_row, int accumulate) {
  if (has_wide_registers) {
    size_t height = tile_rows(m, WIDE_ROWS);
    for (size_t i = 0; i < m; i += height) {
      size_t rows = m - i < height ? m - i : height;
      if (columns <= 16)
        edge_tile(1, rows, columns, k, a + i * a_row, a_row, a_step, b, c + i * c_row, c_row, accumulate);
      else if (rows == WIDE_ROWS && columns == LETHE_PANEL)
        tile(WIDE_ROWS, 2, k, a + i * a_row, a_row, a_step, b, c + i * c_row, c_row, accumulate);
      else
        edge_tile(2, rows, columns, k, a + i * a_row, a_row, a_step, b, c + i * c_row, c_row, accumulate);
    }
    return;
  }
  size_t height = tile_rows(m, NARROW_ROWS);
  for (size_t j = 0; j < columns; j += 16) {
    size_t width = columns - j < 16 ? columns - j : 16;
    for (size_t i = 0; i < m; i += height) {
      size_t rows = m - i < height ? m - i : height;
      edge_tile(1, rows, width, k, a + i * a_row, a_row, a_step, b + j, c + i * c_row + j, c_row, accumulate);
    }
  }
}

WIDE_KERNEL void lethe_packed_product(
  int has_wide_registers, size_t m, size_t n, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *panels, size_t panel_stride, float *c, size_t c_row, int accumulate) {
  for (size_t first = 0; first < k; first += LETHE_PRODUCT_DEPTH) {
    size_t depth = k - first < LETHE_PRODUCT_DEPTH ? k - first : LETHE_PRODUCT_DEPTH;
    for (size_t j = 0; j < n; j += LETHE_PANEL)
      panel_product(
        has_wide_registers, m, n - j < LETHE_PANEL ? n - j : LETHE_PANEL, depth, a + (ptrdiff_t)first * a_step, a_row,
        a_step, panels + j / LETHE_PANEL * panel_stride + first * LETHE_PANEL, c + j, c_row, accumulate || first > 0);
  }
  if (k == 0 && !accumulate)
    for (size_t i = 0; i < m; i++) memset(c + i * c_row, 0, n * sizeof(float));
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
