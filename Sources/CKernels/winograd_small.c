#include "kernels.h"
#include "vector.h"
#include "winograd.h"

// Minimal filtering with one channel in each lane, for maps whose rows of tiles would leave most lanes empty. A plane
// of sixteen channels becomes a map of pixels with sixteen values each, and every tile fills all lanes.

enum { SIDE = LETHE_SMALL_MAP + 2, MAP = SIDE * SIDE };
static const float zeros[16] __attribute__((aligned(64)));

// map[y + padding][x + padding] = the values of `channels` <= 16 planes at (y, x), for a map `side` pixels wide.
INLINE void read_map(
  const float *planes, size_t channels, size_t height, size_t width, size_t padding, size_t side, wide *map) {
  size_t count = height * width, whole = count / 16 * 16;
  const float *rows[16];
  for (size_t c = 0; c < 16; c++) rows[c] = c < channels ? planes + c * count : zeros;
  float block[16][16] __attribute__((aligned(64)));
  size_t y = padding, x = padding;
  for (size_t at = 0; at < count; at += 16) {
    size_t pixels = 16;
    if (at < whole) {
      transpose_16(rows, block[0], 16);
    } else {
      pixels = count - whole;
      for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 16; c++) block[i][c] = c < channels ? rows[c][i] : 0;
    }
    for (size_t c = 0; c < channels; c++) rows[c] += 16;
    for (size_t i = 0; i < pixels; i++) {
      map[y * side + x] = *(const wide *)block[i];
      if (++x == width + padding) x = padding, y++;
    }
  }
}

// The way back: the values of a map to `channels` <= 16 planes.
INLINE void write_map(
  const wide *map, size_t side, size_t channels, size_t height, size_t width, float *restrict planes) {
  size_t count = height * width;
  float block[16][16] __attribute__((aligned(64)));
  size_t y = 0, x = 0;
  for (size_t at = 0; at < count; at += 16) {
    size_t pixels = count - at < 16 ? count - at : 16;
    const float *rows[16];
    for (size_t i = 0; i < 16; i++) {
      rows[i] = i < pixels ? (const float *)&map[y * side + x] : zeros;
      if (i < pixels && ++x == width) x = 0, y++;
    }
    if (channels == 16 && pixels == 16) {
      transpose_16(rows, planes + at, count);
      continue;
    }
    transpose_16(rows, block[0], 16);
    for (size_t c = 0; c < channels; c++)
      for (size_t i = 0; i < pixels; i++) planes[c * count + at + i] = block[c][i];
  }
}

INLINE void clear(wide *map, size_t count) {
  for (size_t i = 0; i < count; i++) map[i] = (wide){0};
}

// The points of every tile: of an input, whose tiles are two values longer than those of the output and overlap, or of
// an output's gradient.
INLINE void tile_points(
  const int tile, const int is_gradient, const float *planes, size_t channels, const lethe_map *m,
  float *restrict points, size_t point_stride, size_t tile_stride) {
  const int count = tile + 2, extent = is_gradient ? tile : count;
  wide map[MAP] __attribute__((aligned(64)));
  size_t side = m->columns * tile + (extent - tile);
  clear(map, (m->rows * tile + (extent - tile)) * side);
  read_map(planes, channels, m->height, m->width, m->padding, side, map);
  for (size_t ty = 0; ty < m->rows; ty++)
    for (size_t tx = 0; tx < m->columns; tx++, points += tile_stride) {
      const wide *d = map + (ty * side + tx) * tile;
      wide half[6][6];
      UNROLL for (int j = 0; j < extent; j++) {
#define D(i) d[(i) * side + j]
#define AT(p) half[p][j]
        if (is_gradient) GRADIENT_POINTS(tile, D, AT); else INPUT_POINTS(tile, D, AT);
#undef AT
#undef D
      }
      UNROLL for (int i = 0; i < count; i++) {
#define D(j) half[i][j]
#define AT(p) *(wide *)(points + (count * i + (p)) * point_stride)
        if (is_gradient) GRADIENT_POINTS(tile, D, AT); else INPUT_POINTS(tile, D, AT);
#undef AT
#undef D
      }
    }
}

WIDE_KERNEL void lethe_small_input(
  const float *planes, size_t channels, const lethe_map *map, float *restrict points, size_t point_stride,
  size_t tile_stride) {
  BY_TILE(map->tile, tile_points, 0, planes, channels, map, points, point_stride, tile_stride);
}

WIDE_KERNEL void lethe_small_gradient(
  const float *planes, size_t channels, const lethe_map *map, float *restrict points, size_t point_stride,
  size_t tile_stride) {
  BY_TILE(map->tile, tile_points, 1, planes, channels, map, points, point_stride, tile_stride);
}

INLINE void tile_values(
  const int tile, const float *points, size_t point_stride, size_t tile_stride, const float *bias, size_t channels,
  const lethe_map *m, float *restrict planes) {
  const int count = tile + 2;
  wide map[MAP] __attribute__((aligned(64))), offset = {0};
  if (bias)
    for (size_t c = 0; c < channels; c++) offset[c] = bias[c];
  size_t side = m->columns * tile;
  for (size_t ty = 0; ty < m->rows; ty++)
    for (size_t tx = 0; tx < m->columns; tx++, points += tile_stride) {
      wide *out = map + (ty * side + tx) * tile;
      wide half[4][6];
      UNROLL for (int j = 0; j < count; j++) {
#define M(i) (*(const wide *)(points + (count * (i) + j) * point_stride))
#define AT(p) half[p][j]
        OUTPUT_VALUES(tile, M, AT);
#undef AT
#undef M
      }
      UNROLL for (int i = 0; i < tile; i++) {
        wide values[4];
#define M(j) half[i][j]
#define AT(p) values[p]
        OUTPUT_VALUES(tile, M, AT);
#undef AT
#undef M
        UNROLL for (int j = 0; j < tile; j++) out[i * side + j] = values[j] + offset;
      }
    }
  write_map(map, side, channels, m->height, m->width, planes);
}

WIDE_KERNEL void lethe_small_output(
  const float *points, size_t point_stride, size_t tile_stride, const float *bias, size_t channels,
  const lethe_map *map, float *restrict planes) {
  BY_TILE(map->tile, tile_values, points, point_stride, tile_stride, bias, channels, map, planes);
}
