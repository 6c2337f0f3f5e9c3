#include "kernels.h"
#include "vector.h"
#include "winograd.h"

// What minimal filtering makes of filters, and filters' gradients of points: sixteen filters at a time, one in each
// lane.

// Filters of sixteen outputs are transformed sixteen channels after the other.
#define RUN (16 * 9)

// The rows of `count` <= 16 outputs; those that are not there are the last one again.
INLINE void output_rows(const float *weight, size_t row_stride, size_t count, const float **rows) {
  for (size_t i = 0; i < 16; i++) rows[i] = weight + (i < count ? i : count - 1) * row_stride;
}

INLINE void filters(
  const int tile, const float *weight, size_t row_stride, int is_turned, size_t outputs, size_t channels,
  float *restrict points, size_t point_stride, size_t channel_stride) {
  float taps[RUN][16] __attribute__((aligned(64)));
  for (size_t output = 0; output < outputs; output += 16)
    for (size_t channel = 0; channel < channels; channel += 16) {
      size_t run = channels - channel < 16 ? (channels - channel) * 9 : RUN;
      const float *rows[16];
      output_rows(
        weight + output * row_stride + channel * 9, row_stride, outputs - output < 16 ? outputs - output : 16, rows);
      size_t at = 0;
      for (; at + 16 <= run; at += 16) {
        transpose_16(rows, taps[at], 16);
        for (int i = 0; i < 16; i++) rows[i] += 16;
      }
      for (size_t rest = at; rest < run; rest++)
        for (int i = 0; i < 16; i++) taps[rest][i] = rows[i][rest - at];
      for (size_t c = 0; c < run / 9; c++)
        filter_points(
          tile, is_turned, (const wide *)taps[9 * c], points + (channel + c) * channel_stride + output, point_stride);
    }
}

WIDE_KERNEL void lethe_winograd_filter(
  int tile, const float *weight, size_t row_stride, int is_turned, size_t outputs, size_t channels,
  float *restrict points, size_t point_stride, size_t channel_stride) {
  BY_TILE(tile, filters, weight, row_stride, is_turned, outputs, channels, points, point_stride, channel_stride);
}

// Filters of sixteen channels of one output lie side by side.
INLINE void turned_filters(
  const int tile, const float *weight, size_t row_stride, size_t outputs, size_t channels, float *restrict points,
  size_t point_stride, size_t output_stride) {
  float filters[16][16] __attribute__((aligned(64))) = {{0}};
  float taps[16][16] __attribute__((aligned(64)));
  const float *rows[16];
  for (size_t i = 0; i < 16; i++) rows[i] = filters[i];
  for (size_t channel = 0; channel < channels; channel += 16) {
    size_t count = channels - channel < 16 ? channels - channel : 16;
    for (size_t output = 0; output < outputs; output++) {
      const float *in = weight + output * row_stride + channel * 9;
      if (count == 16)
        UNROLL for (size_t i = 0; i < 16; i++) memcpy(filters[i], in + 9 * i, 9 * sizeof(float));
      else
        for (size_t i = 0; i < count; i++) memcpy(filters[i], in + 9 * i, 9 * sizeof(float));
      transpose_16(rows, taps[0], 16);
      filter_points(tile, 1, (const wide *)taps[0], points + output * output_stride + channel, point_stride);
    }
  }
}

WIDE_KERNEL void lethe_winograd_turned_filter(
  int tile, const float *weight, size_t row_stride, size_t outputs, size_t channels, float *restrict points,
  size_t point_stride, size_t output_stride) {
  BY_TILE(tile, turned_filters, weight, row_stride, outputs, channels, points, point_stride, output_stride);
}

INLINE void filter_taps(
  const int tile, const float *points, size_t point_stride, size_t channel_stride, size_t outputs, size_t channels,
  int accumulate, float *restrict weight, size_t row_stride) {
  const int count = tile + 2;
  float taps[RUN][16] __attribute__((aligned(64)));
  float turned[16][RUN] __attribute__((aligned(64)));
  for (size_t output = 0; output < outputs; output += 16)
    for (size_t channel = 0; channel < channels; channel += 16) {
      size_t run = channels - channel < 16 ? (channels - channel) * 9 : RUN;
      for (size_t c = 0; c < run / 9; c++) {
        const float *m = points + (channel + c) * channel_stride + output;
        wide half[3][6];
        UNROLL for (int j = 0; j < count; j++) {
#define M(i) (*(const wide *)(m + (count * (i) + j) * point_stride))
#define AT(p) half[p][j]
          TAP_VALUES(tile, M, AT);
#undef AT
#undef M
        }
        UNROLL for (int i = 0; i < 3; i++) {
#define M(j) half[i][j]
#define AT(p) *(wide *)taps[9 * c + 3 * i + (p)]
          TAP_VALUES(tile, M, AT);
#undef AT
#undef M
        }
      }
      for (size_t at = 0; at < run; at += 16) {
        const float *rows[16];
        UNROLL for (int i = 0; i < 16; i++) rows[i] = taps[at + i];
        transpose_16(rows, &turned[0][at], RUN);
      }
      size_t lanes = outputs - output < 16 ? outputs - output : 16;
      for (size_t i = 0; i < lanes; i++) {
        float *out = weight + (output + i) * row_stride + channel * 9;
        if (accumulate)
          for (size_t at = 0; at < run; at++) out[at] += turned[i][at];
        else
          for (size_t at = 0; at < run; at++) out[at] = turned[i][at];
      }
    }
}

WIDE_KERNEL void lethe_winograd_taps(
  int tile, const float *points, size_t point_stride, size_t channel_stride, size_t outputs, size_t channels,
  int accumulate, float *restrict weight, size_t row_stride) {
  BY_TILE(tile, filter_taps, points, point_stride, channel_stride, outputs, channels, accumulate, weight, row_stride);
}
