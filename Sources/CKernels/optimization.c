#include "kernels.h"
#include "vector.h"

KERNEL void lethe_adam(
  float *restrict parameter, const float *gradient, float *restrict first_moment, float *restrict second_moment,
  size_t count, float learning_rate, float beta1, float beta2, float bias_correction1, float bias_correction2,
  float epsilon, float decoupled_decay, float coupled_decay) {
  float step = learning_rate / bias_correction1;
  float inverse_root = 1.0f / sqrtf(bias_correction2);
  float keep = 1.0f - learning_rate * decoupled_decay;
  for (size_t i = 0; i < count; i++) {
    float p = parameter[i] * keep;
    float g = fused(coupled_decay, parameter[i], gradient[i]);
    float m = fused(beta1, first_moment[i], (1.0f - beta1) * g);
    float v = fused(beta2, second_moment[i], (1.0f - beta2) * g * g);
    first_moment[i] = m;
    second_moment[i] = v;
    parameter[i] = p - step * m / fused(sqrtf(v), inverse_root, epsilon);
  }
}

KERNEL void lethe_exponential_average(float *restrict average, const float *value, float decay, size_t count) {
  for (size_t i = 0; i < count; i++) average[i] = fused(decay, average[i] - value[i], value[i]);
}
