#pragma once

// Inner loops that serve the operators of `Tensors`. They know pointers and counts, never shapes or threads,
// allocate nothing, and give the same bits on every processor: each loop states its own order of summation
// (fixed lanes), and fused multiply-adds are written, never left to the compiler.

#include <stddef.h>
#include <stdint.h>

// MARK: elementwise.c

typedef enum { LETHE_ADD, LETHE_SUBTRACT, LETHE_MULTIPLY, LETHE_DIVIDE } lethe_binary_op;

/// out[i] = a[i * a_step] op b[i * b_step]; a step is 0 (one value for all) or 1.
void lethe_binary(
  lethe_binary_op op, const float *a, ptrdiff_t a_step, const float *b, ptrdiff_t b_step, float *out, size_t count);
/// out[i] = x[i] * scale + offset
void lethe_affine(const float *x, float scale, float offset, float *out, size_t count);
/// y[i] += scale * x[i]
void lethe_axpy(float scale, const float *x, float *y, size_t count);
/// y[i] += x[i] * x[i]
void lethe_accumulate_squares(const float *x, float *y, size_t count);
/// Fills row r with the single value values[r].
void lethe_fill_each_row(const float *values, float *out, size_t rows, size_t columns);

// MARK: activations.c

void lethe_exp(const float *x, float *out, size_t count);
void lethe_silu(const float *x, float *out, size_t count);
void lethe_silu_backward(const float *x, const float *gradient, float *out, size_t count);
void lethe_sigmoid(const float *x, float *out, size_t count);
void lethe_gelu(const float *x, float *out, size_t count);
void lethe_gelu_backward(const float *x, const float *gradient, float *out, size_t count);
void lethe_quick_gelu(const float *x, float *out, size_t count);
void lethe_quick_gelu_backward(const float *x, const float *gradient, float *out, size_t count);
/// x has rows of 2 * columns values (value, gate); out[r][c] = value * gelu(gate).
void lethe_geglu(const float *x, float *out, size_t rows, size_t columns);
void lethe_geglu_backward(const float *x, const float *gradient, float *out, size_t rows, size_t columns);

// MARK: normalization.c

/// Group normalisation of one group of one item: `channels` planes of `plane` values; with `activate` SiLU of it.
/// `mean` and `inverse_deviation` receive one value each.
void lethe_group_norm(
  int activate, const float *x, const float *weight, const float *bias, float *out, size_t channels, size_t plane,
  float epsilon, float *mean, float *inverse_deviation);
/// Adds to `weight_gradient` and `bias_gradient` (one value a channel). `activated` where SiLU followed.
void lethe_group_norm_backward(
  int activated, const float *x, const float *weight, const float *bias, const float *gradient, float mean,
  float inverse_deviation, float *x_gradient, float *weight_gradient, float *bias_gradient, size_t channels,
  size_t plane);
void lethe_layer_norm(
  const float *x, const float *weight, const float *bias, float *out, size_t rows, size_t columns, float epsilon,
  float *mean, float *inverse_deviation);
void lethe_layer_norm_backward(
  const float *x, const float *weight, const float *gradient, const float *mean, const float *inverse_deviation,
  float *x_gradient, size_t rows, size_t columns);
/// Adds to `weight_gradient` and `bias_gradient`, of some of the columns of rows `row_stride` apart.
void lethe_layer_norm_weight_gradients(
  const float *x, const float *gradient, size_t row_stride, const float *mean, const float *inverse_deviation,
  float *weight_gradient, float *bias_gradient, size_t rows, size_t columns);

// MARK: softmax.c

/// out = softmax(scale * x) along each row. With `causal`, row r sees the columns 0 ... r + first_row only.
void lethe_softmax(
  const float *x, float *out, size_t rows, size_t columns, float scale, int causal, size_t first_row);
/// out = scale * p * (gradient - sum(gradient * p)) along each row
void lethe_softmax_backward(
  const float *p, const float *gradient, float *out, size_t rows, size_t columns, float scale);
void lethe_log_softmax(const float *x, float *out, size_t rows, size_t columns);
void lethe_log_softmax_backward(const float *y, const float *gradient, float *out, size_t rows, size_t columns);

// MARK: attention.c

/// Turns scores of one block of sources into e^(scale * score - top), top being the largest of each target so far, and
/// brings `top` and `sum` up to date; what came of the blocks before is to be multiplied by `correction`. There are
/// `sources` rows of LETHE_PANEL targets. With `causal`, target t sees only the sources up to itself, counted from
/// first_target and first_source.
void lethe_attention_block(
  float *scores, size_t sources, float scale, int causal, size_t first_source, size_t first_target, float *top,
  float *sum, float *correction);
/// x[r][t] *= factors[t], rows of LETHE_PANEL.
void lethe_scale_columns(float *x, size_t rows, const float *factors);
/// out[t * row_stride + r] = panel[r][t], times factors[t] where there are factors.
void lethe_unpack_panel(
  const float *panel, size_t rows, size_t columns, const float *factors, float *out, size_t row_stride);
/// Scores to probabilities, given the logarithm of each target's sum of e^(scale * score).
void lethe_attention_probabilities(
  float *scores, size_t sources, float scale, int causal, size_t first_source, size_t first_target,
  const float *logarithms);
/// gradient = scale * p * (gradient - means): from the gradient of the probabilities to that of the scores, `means`
/// being the sum of their products for each target.
void lethe_attention_score_gradient(
  const float *probabilities, float *gradient, size_t sources, float scale, const float *means);
/// means[t] = the sum over all sources of probability * gradient.
void lethe_attention_means(const float *probabilities, const float *gradient, size_t sources, float *means);
/// out[r] = the sum of the products of row r of a and b: the same means, from outputs and their gradients.
void lethe_row_products(
  const float *a, const float *b, size_t row_stride, size_t rows, size_t columns, float *out);

// MARK: convolution.c

typedef struct {
  size_t channels, height, width;          // of the input image
  size_t kernel_height, kernel_width;
  size_t stride;
  size_t padding_top, padding_left;
  size_t out_height, out_width;
} lethe_window;

/// Rows: channel, kernel row, kernel column. Columns: output pixels. Row r starts at columns + r * row_stride.
void lethe_image_to_columns(const float *image, const lethe_window *window, float *columns, size_t row_stride);
/// Adds the columns back to the image they came from.
void lethe_columns_to_image(const float *columns, size_t row_stride, const lethe_window *window, float *image);
void lethe_upsample_nearest_2x(const float *x, float *out, size_t planes, size_t height, size_t width);
/// Sums each 2 x 2 block: the gradient of the nearest upsampling.
void lethe_sum_2x2(const float *gradient, float *out, size_t planes, size_t height, size_t width);
/// out (columns x rows) = transpose of x (rows x columns, rows row_stride apart)
void lethe_transpose(const float *x, size_t row_stride, float *out, size_t rows, size_t columns);

// MARK: products.c

/// Columns of a packed factor that lie together: a panel has the rows 0 ..< k of LETHE_PANEL columns, one row after the
/// other, and zeros where there is no column.
#define LETHE_PANEL 32
/// Steps along k that are added up before they meet the sum of those before them.
#define LETHE_PRODUCT_DEPTH 256

/// c (m x n, rows c_row apart) = or += a * b, where a[i][p] is a[i * a_row + p * a_step], one of which is 1, and b
/// (k x n) is packed into panels panel_stride apart.
void lethe_packed_product(
  int has_wide_registers, size_t m, size_t n, size_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *panels, size_t panel_stride, float *c, size_t c_row, int accumulate);
/// Packs x (k x n, rows row_stride apart) into panels, k * LETHE_PANEL apart.
void lethe_pack_rows(const float *x, size_t row_stride, size_t k, size_t n, float *panels);
/// Packs the transpose of x (n x k, rows row_stride apart) likewise.
void lethe_pack_columns(const float *x, size_t row_stride, size_t k, size_t n, float *panels);

// MARK: winograd.c

/// The 4 x 4 tiles of a plane, the last of each row and column perhaps cut off. Of the plane that is read by
/// lethe_winograd_input, whose tiles begin padding_left values to the left and padding_top above it, and are 6 x 6.
typedef struct {
  size_t height, width;
  ptrdiff_t padding_top, padding_left;  // below zero for tiles that begin inside
  size_t rows, columns;                 // of tiles
} lethe_tiles;

/// Where the value of tile i at a point goes: slot = first + i, which is lane slot % panel_width of a panel.
typedef struct {
  size_t first, panel_width, panel_stride, point_stride;
} lethe_slots;

/// The 36 points of each tile of one channel.
void lethe_winograd_input(const float *plane, const lethe_tiles *tiles, const lethe_slots *slots, float *points);
/// One channel of the output, from points whose tiles lie one after the other; `bias` is added.
void lethe_winograd_output(
  const float *points, size_t point_stride, const lethe_tiles *tiles, float bias, float *plane);
/// The 36 points of each tile of one channel of an output's gradient, for the gradient by the filter.
void lethe_winograd_gradient(const float *plane, const lethe_tiles *tiles, const lethe_slots *slots, float *points);
// MARK: winograd_filters.c

// A tile has 4 x 4 values of the output and 36 points, or 2 x 2 values and 16 points.

/// The points of 3 x 3 filters, turned by 180 degrees where asked for: that of output k and channel c begins at
/// weight[k * row_stride + 9 * c] and goes to points[p * point_stride + c * channel_stride + k]. Sixteen outputs are
/// written at a time, whether they are there or not.
void lethe_winograd_filter(
  int tile, const float *weight, size_t row_stride, int is_turned, size_t outputs, size_t channels, float *points,
  size_t point_stride, size_t channel_stride);
/// The points of the same filters turned, at points[p * point_stride + k * output_stride + c], sixteen channels at a
/// time.
void lethe_winograd_turned_filter(
  int tile, const float *weight, size_t row_stride, size_t outputs, size_t channels, float *points,
  size_t point_stride, size_t output_stride);
/// The gradients of 3 x 3 filters from their points, laid out as lethe_winograd_filter writes them; stored, or added
/// to what is there.
void lethe_winograd_taps(
  int tile, const float *points, size_t point_stride, size_t channel_stride, size_t outputs, size_t channels,
  int accumulate, float *weight, size_t row_stride);

// MARK: winograd_small.c

/// The largest height and width of an output that these take.
#define LETHE_SMALL_MAP 16

/// A small map and its tiles, the last of each row and column perhaps cut off: of an input, where they begin `padding`
/// values above it and to the left, or of an output.
typedef struct {
  size_t tile;  // 4 or 2
  size_t height, width;
  size_t padding;
  size_t rows, columns;  // of tiles
} lethe_map;

// In all of them a point's value of channel c of tile t lies at points[point * point_stride + t * tile_stride + c], and
// whole vectors of sixteen channels are read and written, whether they are there or not.

/// The points of up to sixteen channels' planes, one after the other.
void lethe_small_input(
  const float *planes, size_t channels, const lethe_map *map, float *points, size_t point_stride, size_t tile_stride);
/// Up to sixteen channels' planes from their points; `bias`, if any, is added.
void lethe_small_output(
  const float *points, size_t point_stride, size_t tile_stride, const float *bias, size_t channels,
  const lethe_map *map, float *planes);
/// The points of up to sixteen channels of an output's gradient, for the gradient by the filter.
void lethe_small_gradient(
  const float *planes, size_t channels, const lethe_map *map, float *points, size_t point_stride, size_t tile_stride);

// MARK: reductions.c

double lethe_sum(const float *x, size_t count);
double lethe_sum_of_squares(const float *x, size_t count);
/// out[c] += sum over rows of x[r][c], rows row_stride apart
void lethe_add_rows(const float *x, size_t row_stride, float *out, size_t rows, size_t columns);
/// out[r] += sum over columns of x[r][c]
void lethe_add_columns(const float *x, float *out, size_t rows, size_t columns);

// MARK: optimization.c

/// One step of Adam: `decoupled_decay` shrinks the parameter itself (AdamW), `coupled_decay` of it joins the gradient.
void lethe_adam(
  float *parameter, const float *gradient, float *first_moment, float *second_moment, size_t count,
  float learning_rate, float beta1, float beta2, float bias_correction1, float bias_correction2, float epsilon,
  float decoupled_decay, float coupled_decay);
/// average = decay * average + (1 - decay) * value
void lethe_exponential_average(float *average, const float *value, float decay, size_t count);

// MARK: random.c

/// Philox 4x32-10 (Salmon et al., SC 2011): writes 4 * blocks words, block b from counter + b in the low 64 bits.
void lethe_philox(const uint32_t key[2], uint64_t counter_low, uint64_t counter_high, uint32_t *out, size_t blocks);

// MARK: half.c

void lethe_from_half(const uint16_t *x, float *out, size_t count);
void lethe_from_bfloat(const uint16_t *x, float *out, size_t count);
/// Rounds to nearest, ties to even.
void lethe_to_half(const float *x, uint16_t *out, size_t count);

// MARK: blocks.c

/// Lets freed memory stay with the process, so that the next tensor of the same size costs no page faults.
void lethe_keep_freed_memory(void);
/// A block of at least so many bytes on a cache line's boundary, whatever they hold; NULL where there is no memory.
void *lethe_take_block(size_t bytes);
/// Gives back a block of so many bytes, on any thread.
void lethe_give_block(void *block, size_t bytes);

// MARK: runtime.c

/// 1 where the processor has the AVX-512 subsets that OpenBLAS's SkylakeX kernels need.
int lethe_has_avx512(void);
/// 1 where the processor has AVX2 and FMA.
int lethe_has_avx2(void);
/// The cores that this process may run on, as taskset and containers limit them.
int lethe_available_cores(void);
/// A moment's rest for a thread that looks again and again.
static inline void lethe_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// MARK: mappings.c

// A file that is mapped into memory and cut short while it is in use cannot be read past its new end: the program then
// ends with a sentence and not with a signal.

/// Watches a mapping. A read that fails there writes `sentence` to the standard error and ends the program with status
/// 1. Beyond a thousand mappings nothing more is watched.
void lethe_watch_mapping(const void *start, size_t size, const char *sentence);
/// To be called before the mapping goes.
void lethe_forget_mapping(const void *start);
