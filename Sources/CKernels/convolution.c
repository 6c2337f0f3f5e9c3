#include "kernels.h"
#include "vector.h"

// Output columns ox whose input column ox * stride + kx - padding lies inside the image: first ..< last.
INLINE void valid_range(size_t k, size_t padding, size_t stride, size_t extent, size_t out_extent, size_t *first,
                        size_t *last) {
  size_t low = k >= padding ? 0 : (padding - k + stride - 1) / stride;
  size_t high = extent + padding > k ? (extent + padding - k + stride - 1) / stride : 0;
  if (high > out_extent) high = out_extent;
  if (low > high) low = high;
  *first = low;
  *last = high;
}

KERNEL void lethe_image_to_columns(
  const float *image, const lethe_window *w, float *restrict columns, size_t row_stride) {
  for (size_t c = 0; c < w->channels; c++)
    for (size_t ky = 0; ky < w->kernel_height; ky++)
      for (size_t kx = 0; kx < w->kernel_width; kx++) {
        float *row = columns + ((c * w->kernel_height + ky) * w->kernel_width + kx) * row_stride;
        const float *plane = image + c * w->height * w->width;
        size_t first, last, top, bottom;
        valid_range(kx, w->padding_left, w->stride, w->width, w->out_width, &first, &last);
        valid_range(ky, w->padding_top, w->stride, w->height, w->out_height, &top, &bottom);
        for (size_t oy = 0; oy < w->out_height; oy++) {
          float *out = row + oy * w->out_width;
          if (oy < top || oy >= bottom) {
            for (size_t ox = 0; ox < w->out_width; ox++) out[ox] = 0;
            continue;
          }
          const float *in = plane + (oy * w->stride + ky - w->padding_top) * w->width + kx - w->padding_left;
          for (size_t ox = 0; ox < first; ox++) out[ox] = 0;
          if (w->stride == 1)
            for (size_t ox = first; ox < last; ox++) out[ox] = in[ox];
          else
            for (size_t ox = first; ox < last; ox++) out[ox] = in[ox * w->stride];
          for (size_t ox = last; ox < w->out_width; ox++) out[ox] = 0;
        }
      }
}

KERNEL void lethe_columns_to_image(
  const float *columns, size_t row_stride, const lethe_window *w, float *restrict image) {
  for (size_t c = 0; c < w->channels; c++)
    for (size_t ky = 0; ky < w->kernel_height; ky++)
      for (size_t kx = 0; kx < w->kernel_width; kx++) {
        const float *row = columns + ((c * w->kernel_height + ky) * w->kernel_width + kx) * row_stride;
        float *plane = image + c * w->height * w->width;
        size_t first, last, top, bottom;
        valid_range(kx, w->padding_left, w->stride, w->width, w->out_width, &first, &last);
        valid_range(ky, w->padding_top, w->stride, w->height, w->out_height, &top, &bottom);
        for (size_t oy = top; oy < bottom; oy++) {
          const float *in = row + oy * w->out_width;
          float *out = plane + (oy * w->stride + ky - w->padding_top) * w->width + kx - w->padding_left;
          if (w->stride == 1)
            for (size_t ox = first; ox < last; ox++) out[ox] += in[ox];
          else
            for (size_t ox = first; ox < last; ox++) out[ox * w->stride] += in[ox];
        }
      }
}

void lethe_upsample_nearest_2x(const float *x, float *restrict out, size_t planes, size_t height, size_t width) {
  for (size_t row = 0; row < planes * height; row++) {
    const float *in = x + row * width;
    float *first = out + 4 * row * width;
    for (size_t c = 0; c < width; c++) first[2 * c] = first[2 * c + 1] = in[c];
    memcpy(first + 2 * width, first, 2 * width * sizeof(float));
  }
}

void lethe_sum_2x2(const float *gradient, float *restrict out, size_t planes, size_t height, size_t width) {
  for (size_t row = 0; row < planes * height; row++) {
    const float *first = gradient + 4 * row * width, *second = first + 2 * width;
    for (size_t c = 0; c < width; c++)
      out[row * width + c] = (first[2 * c] + first[2 * c + 1]) + (second[2 * c] + second[2 * c + 1]);
  }
}

KERNEL void lethe_transpose(
  const float *x, size_t row_stride, float *restrict out, size_t rows, size_t columns) {
  const size_t block = 16;
  for (size_t r0 = 0; r0 < rows; r0 += block)
    for (size_t c0 = 0; c0 < columns; c0 += block) {
      size_t r1 = r0 + block < rows ? r0 + block : rows, c1 = c0 + block < columns ? c0 + block : columns;
      for (size_t c = c0; c < c1; c++)
        for (size_t r = r0; r < r1; r++) out[c * rows + r] = x[r * row_stride + c];
    }
}
