#include "kernels.h"
#include "vector.h"
#include "winograd.h"

// Minimal filtering with one tile in each lane, for maps whose rows of tiles fill the lanes: a convolution becomes 36
// matrix products over the channels. Its gradient by the filter, F(3 x 3, 4 x 4), has the same points.

#define POINTS 6
// Tiles that are transformed at a time, one in each lane.
#define STRIP 16

// From four vectors of consecutive values: those at 0, 4, 8 ... into p0, those at 1, 5, 9 ... into p1, and so on.
#define EVERY_FOURTH(a, first) \
  __builtin_shufflevector(a[0], a[1], first, first + 4, first + 8, first + 12, first + 16, first + 20, first + 24, \
    first + 28, first + 1, first + 5, first + 9, first + 13, first + 17, first + 21, first + 25, first + 29)
#define LOW_HALVES 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH_HALVES 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
INLINE void two_phases(const float *x, const int pair, wide *p0, wide *p1) {
  const wide *a = (const wide *)x;
  wide low, high;
  if (pair == 0) {
    low = EVERY_FOURTH(a, 0);
    a += 2;
    high = EVERY_FOURTH(a, 0);
  } else {
    low = EVERY_FOURTH(a, 2);
    a += 2;
    high = EVERY_FOURTH(a, 2);
  }
  *p0 = __builtin_shufflevector(low, high, LOW_HALVES);
  *p1 = __builtin_shufflevector(low, high, HIGH_HALVES);
}

// Undoes the above: the values of four vectors, one from each in turn.
INLINE void interleave(const wide *p, float *out) {
  wide low01 = __builtin_shufflevector(p[0], p[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  wide high01 = __builtin_shufflevector(p[0], p[1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  wide low23 = __builtin_shufflevector(p[2], p[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  wide high23 = __builtin_shufflevector(p[2], p[3], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#define LOW_PAIRS 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23
#define HIGH_PAIRS 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31
  ((wide *)out)[0] = __builtin_shufflevector(low01, low23, LOW_PAIRS);
  ((wide *)out)[1] = __builtin_shufflevector(low01, low23, HIGH_PAIRS);
  ((wide *)out)[2] = __builtin_shufflevector(high01, high23, LOW_PAIRS);
  ((wide *)out)[3] = __builtin_shufflevector(high01, high23, HIGH_PAIRS);
}

// Copies `width` values of row y of a plane from column x on, zeros where there are none, and zeros up to `room`, which
// is a multiple of sixteen.
INLINE void read_row(const float *plane, const lethe_tiles *t, ptrdiff_t y, ptrdiff_t x, size_t width, size_t room,
                     float *out) {
  if (y < 0 || y >= (ptrdiff_t)t->height) {
    for (size_t at = 0; at < room; at += 16) *(wide *)(out + at) = (wide){0};
    return;
  }
  ptrdiff_t begin = x < 0 ? -x : 0, end = (ptrdiff_t)t->width - x;
  if (end > (ptrdiff_t)width) end = (ptrdiff_t)width;
  if (begin > end) begin = end = 0;
  const float *row = plane + y * (ptrdiff_t)t->width + x;
  ptrdiff_t at = 0;
  for (; at < begin; at++) out[at] = 0;
  for (; at + 16 <= end; at += 16) memcpy(out + at, row + at, 16 * sizeof(float));
  for (; at < end; at++) out[at] = row[at];
  for (; at < (ptrdiff_t)room; at++) out[at] = 0;
}

// Where the values of a strip of tiles go at each point: all in one panel, or on into the next.
typedef struct {
  size_t offset, lane, count;
} place;

INLINE place place_of(const lethe_slots *s, size_t tile, size_t count) {
  size_t slot = s->first + tile, lane = slot % s->panel_width;
  return (place){slot / s->panel_width * s->panel_stride + lane, lane, count};
}

INLINE void store(const wide *values, const place *where, const lethe_slots *s, float *point) {
  float *out = point + where->offset;
  if (where->count == STRIP && where->lane + STRIP <= s->panel_width) {
    *(wide *)out = *values;
    return;
  }
  size_t lane = where->lane;
  for (size_t u = 0; u < where->count; u++) {
    *out++ = (*values)[u];
    if (++lane == s->panel_width) out += s->panel_stride - s->panel_width, lane = 0;
  }
}

WIDE_KERNEL void lethe_winograd_input(
  const float *plane, const lethe_tiles *t, const lethe_slots *slots, float *points) {
  // Four values to a tile; the last one reads two more, and whole vectors are worked on.
  enum { ROOM = 4 * STRIP + 16 };
  float window[POINTS][ROOM] __attribute__((aligned(64))), columns[POINTS][ROOM] __attribute__((aligned(64)));
  for (size_t ty = 0; ty < t->rows; ty++)
    for (size_t tx = 0; tx < t->columns; tx += STRIP) {
      size_t tiles = t->columns - tx < STRIP ? t->columns - tx : STRIP;
      place where = place_of(slots, ty * t->columns + tx, tiles);
      for (int i = 0; i < POINTS; i++)
        read_row(
          plane, t, (ptrdiff_t)(4 * ty) + i - t->padding_top, (ptrdiff_t)(4 * tx) - t->padding_left, 4 * tiles + 2,
          ROOM, window[i]);
      for (size_t x = 0; x < 4 * tiles + 2; x += 16) {
#define D(i) (*(const wide *)(window[i] + x))
#define AT(p) *(wide *)(columns[p] + x)
        INPUT_POINTS_4(D, AT);
#undef AT
#undef D
      }
      for (int i = 0; i < POINTS; i++) {
        wide d[6], values[POINTS];
        two_phases(columns[i], 0, &d[0], &d[1]);
        two_phases(columns[i], 1, &d[2], &d[3]);
        two_phases(columns[i] + 4, 0, &d[4], &d[5]);
#define D(j) d[j]
#define AT(p) values[p]
        INPUT_POINTS_4(D, AT);
#undef AT
#undef D
        UNROLL for (int p = 0; p < POINTS; p++)
          store(&values[p], &where, slots, points + (POINTS * i + p) * slots->point_stride);
      }
    }
}

WIDE_KERNEL void lethe_winograd_output(
  const float *points, size_t point_stride, const lethe_tiles *t, float bias, float *plane) {
  float rows[4][4 * STRIP] __attribute__((aligned(64)));
  size_t count = t->rows * t->columns;
  for (size_t first = 0; first < count; first += STRIP) {
    wide half[4][POINTS];
    UNROLL for (int j = 0; j < POINTS; j++) {
#define M(i) (*(const wide *)(points + (POINTS * i + j) * point_stride + first))
#define AT(p) half[p][j]
      OUTPUT_VALUES_4(M, AT);
#undef AT
#undef M
    }
    UNROLL for (int i = 0; i < 4; i++) {
      wide values[4];
#define M(j) half[i][j]
#define AT(p) values[p]
      OUTPUT_VALUES_4(M, AT);
#undef AT
#undef M
      UNROLL for (int j = 0; j < 4; j++) values[j] += bias;
      interleave(values, rows[i]);
    }
    // The tiles of a strip may lie in several rows of tiles.
    size_t end = first + STRIP < count ? first + STRIP : count;
    for (size_t tile = first; tile < end;) {
      size_t ty = tile / t->columns, tx = tile % t->columns;
      size_t run = t->columns - tx < end - tile ? t->columns - tx : end - tile;
      size_t width = t->width - 4 * tx < 4 * run ? t->width - 4 * tx : 4 * run;
      for (size_t i = 0; i < 4 && 4 * ty + i < t->height; i++) {
        const float *from = rows[i] + 4 * (tile - first);
        float *out = plane + (4 * ty + i) * t->width + 4 * tx;
        size_t at = 0;
        for (; at + 16 <= width; at += 16) memcpy(out + at, from + at, 16 * sizeof(float));
        for (; at < width; at++) out[at] = from[at];
      }
      tile += run;
    }
  }
}

WIDE_KERNEL void lethe_winograd_gradient(
  const float *plane, const lethe_tiles *t, const lethe_slots *slots, float *points) {
  enum { ROOM = 4 * STRIP };
  float window[4][ROOM] __attribute__((aligned(64))), columns[POINTS][ROOM] __attribute__((aligned(64)));
  for (size_t ty = 0; ty < t->rows; ty++)
    for (size_t tx = 0; tx < t->columns; tx += STRIP) {
      size_t tiles = t->columns - tx < STRIP ? t->columns - tx : STRIP;
      place where = place_of(slots, ty * t->columns + tx, tiles);
      for (int i = 0; i < 4; i++)
        read_row(plane, t, (ptrdiff_t)(4 * ty) + i, (ptrdiff_t)(4 * tx), 4 * tiles, ROOM, window[i]);
      for (size_t x = 0; x < 4 * tiles; x += 16) {
#define G(i) (*(const wide *)(window[i] + x))
#define AT(p) *(wide *)(columns[p] + x)
        GRADIENT_POINTS_4(G, AT);
#undef AT
#undef G
      }
      for (int i = 0; i < POINTS; i++) {
        wide g[4], values[POINTS];
        two_phases(columns[i], 0, &g[0], &g[1]);
        two_phases(columns[i], 1, &g[2], &g[3]);
#define G(j) g[j]
#define AT(p) values[p]
        GRADIENT_POINTS_4(G, AT);
#undef AT
#undef G
        UNROLL for (int p = 0; p < POINTS; p++)
          store(&values[p], &where, slots, points + (POINTS * i + p) * slots->point_stride);
      }
    }
}
