#include <cblas.h>
#include <stddef.h>

/* The LAPACK routines in use, as Fortran compilers call them: everything by reference, and the lengths of the
   strings behind all other arguments. OpenBLAS carries LAPACK, but not every system installs headers for it. */

/* Eigenvalues, and eigenvectors in place of the matrix, of a symmetric matrix. */
void dsyevd_(const char *jobz, const char *uplo, const blasint *n, double *a, const blasint *lda, double *w,
             double *work, const blasint *lwork, blasint *iwork, const blasint *liwork, blasint *info,
             size_t jobz_length, size_t uplo_length);

/* The singular value decomposition of a general matrix. */
void dgesdd_(const char *jobz, const blasint *m, const blasint *n, double *a, const blasint *lda, double *s, double *u,
             const blasint *ldu, double *vt, const blasint *ldvt, double *work, const blasint *lwork, blasint *iwork,
             blasint *info, size_t jobz_length);

/* Solves A X = B for a symmetric positive definite A by its Cholesky decomposition; B becomes X. */
void dposv_(const char *uplo, const blasint *n, const blasint *nrhs, double *a, const blasint *lda, double *b,
            const blasint *ldb, blasint *info, size_t uplo_length);
