/// The version of diffusers whose folder layout Lethe writes.
let writtenDiffusersVersion = "0.30.0"
