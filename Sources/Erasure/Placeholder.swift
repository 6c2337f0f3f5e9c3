// Erasure
