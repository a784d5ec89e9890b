#ifndef SEQ_ISA_H
#define SEQ_ISA_H
/* Generated from compiler/isa/table.py by compiler/isa/generate.py: do not edit. */
/* clang-format off */

#include <stddef.h>
#include <stdint.h>

#define SEQ_OP_FIRST_INTERACTIVE 0x80
#define SEQ_INTERACTIVE_COUNT 31
#define SEQ_ISA_MAX_OPERANDS 20

/* Hash of the instruction table, as in the header of a bytecode file. */
static const uint8_t seq_isa_hash[16] = {0xF2, 0x9F, 0x2E, 0xD4, 0xC2, 0x93, 0x9F, 0x32, 0xFC, 0x25, 0x2A, 0x49, 0x4E, 0x1A, 0xB4, 0x93};

/* Instruction codes. */
enum {
    SEQ_OP_END = 0x00, /* stop; the last instruction of every program */
    SEQ_OP_LOOP = 0x01, /* for C[c] in 0..trips-1: run to the matching endloop */
    SEQ_OP_ENDLOOP = 0x02, /* end of the innermost loop's body */
    SEQ_OP_BREAKZ = 0x03, /* if C[c] == 0: leave the innermost loop */
    SEQ_OP_IF = 0x04, /* if C[c] == 0: skip to the matching else or endif */
    SEQ_OP_ELSE = 0x05, /* skip to the matching endif */
    SEQ_OP_ENDIF = 0x06, /* end of the innermost if */
    SEQ_OP_JOIN = 0x07, /* wait until the machine started under handle h has finished */
    SEQ_OP_CHECKPOINT = 0x08, /* a place to save and resume the run: live registers that the outermost loop here writes, and live ones that it does not */
    SEQ_OP_CSET = 0x10, /* C[d..] = pool words pool..pool+n-1 */
    SEQ_OP_CFILL = 0x11, /* C[d..] = imm, n times */
    SEQ_OP_CADD = 0x12, /* C[d] = C[a] + C[b] */
    SEQ_OP_CSUB = 0x13, /* C[d] = C[a] - C[b] */
    SEQ_OP_CMUL = 0x14, /* C[d] = C[a] * C[b] */
    SEQ_OP_CDIV = 0x15, /* C[d] = floor(C[a] / C[b]), signed */
    SEQ_OP_CMOD = 0x16, /* C[d] = C[a] - C[b] * floor(C[a] / C[b]) */
    SEQ_OP_CSHR = 0x17, /* C[d] = (C[a] + 2^(m-1)) >> m, signed; m >= 1 */
    SEQ_OP_CLTZ = 0x18, /* C[d] = 1 if C[a] < 0 else 0 */
    SEQ_OP_CEQZ = 0x19, /* C[d] = 1 if C[a] == 0 else 0 */
    SEQ_OP_CMULI = 0x1A, /* C[d] = C[a] * imm */
    SEQ_OP_CADDI = 0x1B, /* C[d] = C[a] + imm */
    SEQ_OP_CCOPY = 0x1C, /* C[d + i.dstr] = C[a + i.sstr] for every index i of shape */
    SEQ_OP_CACC = 0x1D, /* C[d + i.dstr] += C[a + i.sstr] for every index i of shape */
    SEQ_OP_CGATHER = 0x1E, /* row i of d = row C[idx+i] of a, 0 <= C[idx+i] < src */
    SEQ_OP_CMATMUL = 0x1F, /* C[d] = op(C[a]) @ op(C[b]); ta, tb: the operand is stored transposed */
    SEQ_OP_CPERM = 0x20, /* a permutation of 0..n-1 from the program's public randomness */
    SEQ_OP_CUNIFORM = 0x21, /* uniform integers in [lo, hi) from the program's public randomness */
    SEQ_OP_SADD = 0x30, /* S[d] = S[a] + S[b] */
    SEQ_OP_SSUB = 0x31, /* S[d] = S[a] - S[b] */
    SEQ_OP_SADDC = 0x32, /* S[d] = S[a] + C[b] */
    SEQ_OP_SMULC = 0x33, /* S[d] = S[a] * C[b] */
    SEQ_OP_SMULI = 0x34, /* S[d] = S[a] * imm */
    SEQ_OP_SADDI = 0x35, /* S[d] = S[a] + imm */
    SEQ_OP_SSET = 0x36, /* S[d] = the public value C[a] */
    SEQ_OP_SFILL = 0x37, /* S[d..] = the public value imm, n times */
    SEQ_OP_SCOPY = 0x38, /* S[d + i.dstr] = S[a + i.sstr] for every index i of shape */
    SEQ_OP_SACC = 0x39, /* S[d + i.dstr] += S[a + i.sstr] for every index i of shape */
    SEQ_OP_SGATHER = 0x3A, /* row i of d = row C[idx+i] of a, 0 <= C[idx+i] < src */
    SEQ_OP_SSCATTER = 0x3B, /* row C[idx+i] of d += row i of a, 0 <= C[idx+i] < dst */
    SEQ_OP_SMATMULC = 0x3C, /* S[d] = op(S[a]) @ op(C[b]) */
    SEQ_OP_SCMATMUL = 0x3D, /* S[d] = op(C[a]) @ op(S[b]) */
    SEQ_OP_BXOR = 0x50, /* B[d] = B[a] ^ B[b] */
    SEQ_OP_BNOT = 0x51, /* B[d] = ~B[a] */
    SEQ_OP_BFILL = 0x52, /* every bit of B[d] = the public bit */
    SEQ_OP_BSET = 0x53, /* plane i of B[d] = bit i of the public C[a] */
    SEQ_OP_BCOPY = 0x54, /* per plane: bit doff + i.dstr of d (dn bits) = bit aoff + i.sstr of a (an bits); other bits of d become 0 */
    SEQ_OP_BMOVE = 0x55, /* B[d] = B[a], whole planes */
    SEQ_OP_BANDC = 0x56, /* plane i of B[d] = plane i of B[a] & bit i of the public C[b] */
    SEQ_OP_MUL = 0x80, /* S[d] = round(S[a] * S[b] / 2^m); mode 0 probabilistic, 1 nearest; m = 0: no rounding */
    SEQ_OP_MATMUL = 0x81, /* S[d] = round(op(S[a]) @ op(S[b]) / 2^m); ta, tb: the operand is stored transposed */
    SEQ_OP_CONV2D = 0x82, /* S[d] = round(conv2d(S[x], S[w]) / 2^m), NCHW and OIHW, stride SH x SW, padding PH x PW */
    SEQ_OP_CONV2D_DX = 0x83, /* the gradient of conv2d for its input, given the gradient g of its output */
    SEQ_OP_CONV2D_DW = 0x84, /* the gradient of conv2d for its weight, given the gradient g of its output */
    SEQ_OP_TRUNC = 0x85, /* S[d] = round(S[a] / 2^m), signed; m >= 1; |S[a]| < 2^(ring bits - 2) */
    SEQ_OP_LTZ = 0x86, /* B[d] = the sign bit of S[a] mod 2^bits (bit bits-1); 1 <= bits <= ring bits */
    SEQ_OP_EQZ = 0x87, /* B[d] = 1 if S[a] mod 2^bits == 0 else 0 */
    SEQ_OP_SELECT = 0x88, /* S[d] = S[a] if B[b] else 0 */
    SEQ_OP_B2A = 0x89, /* S[d + i*n + j] = bit j of plane i of B[a], as 0 or 1 */
    SEQ_OP_A2B = 0x8A, /* plane i of B[d] = bit i of S[a] */
    SEQ_OP_AND = 0x8B, /* B[d] = B[a] & B[b] */
    SEQ_OP_OPEN = 0x8C, /* C[d] = S[a], revealed to all */
    SEQ_OP_OPENB = 0x8D, /* C[d] = sum of 2^i * plane i of B[a], revealed to all; p <= ring bits */
    SEQ_OP_RANDBIT = 0x8E, /* B[d] = random bits that nobody knows */
    SEQ_OP_INPUT = 0x8F, /* S[d] = the whole input `in` of its party, shared */
    SEQ_OP_OUTPUT = 0x90, /* output `out` = S[a], revealed to its receivers */
    SEQ_OP_OUTPUTB = 0x91, /* output `out` = sum of 2^i * plane i of B[a], revealed to its receivers */
    SEQ_OP_SHUFFLE = 0x92, /* the n rows of S[a] in a secret order into S[d]: equal C[order] and n, equal orders */
    SEQ_OP_SELECT_KEEP = 0x98, /* select; S[k] = what the protocol keeps of B[b]: only select_kept may read it */
    SEQ_OP_SELECT_KEPT = 0x99, /* select by the bits of which select_keep has put into S[k] what is kept */
    SEQ_OP_MUL_ADD = 0x9A, /* mul, with S[e] added to the product before it is rounded */
    SEQ_OP_MATMUL_ADD = 0x9B, /* matmul, with S[e] added to the product before it is rounded */
    SEQ_OP_CONV2D_ADD = 0x9C, /* conv2d, with S[e] added to the product before it is rounded */
    SEQ_OP_CONV2D_DX_ADD = 0x9D, /* conv2d_dx, with S[e] added to the product before it is rounded */
    SEQ_OP_CONV2D_DW_ADD = 0x9E, /* conv2d_dw, with S[e] added to the product before it is rounded */
    SEQ_OP_COUTPUT = 0xC0, /* output `out` = C[a], at every receiver */
    SEQ_OP_PTEXT = 0xC1, /* append a string to the line being printed; \n ends the line */
    SEQ_OP_PVAL = 0xC2, /* append C[a]/2^f to the line being printed, formatted by fmt (a C-like %.4f or %d) */
};

/* Positions in the operand list; the names' case matters (matmul: M and m). */
enum { SEQ_ARG_LOOP_c, SEQ_ARG_LOOP_trips };
enum { SEQ_ARG_BREAKZ_c };
enum { SEQ_ARG_IF_c };
enum { SEQ_ARG_JOIN_h };
enum { SEQ_ARG_CHECKPOINT_moving, SEQ_ARG_CHECKPOINT_still };
enum { SEQ_ARG_CSET_d, SEQ_ARG_CSET_pool, SEQ_ARG_CSET_n };
enum { SEQ_ARG_CFILL_d, SEQ_ARG_CFILL_imm, SEQ_ARG_CFILL_n };
enum { SEQ_ARG_CADD_d, SEQ_ARG_CADD_a, SEQ_ARG_CADD_b, SEQ_ARG_CADD_n };
enum { SEQ_ARG_CSUB_d, SEQ_ARG_CSUB_a, SEQ_ARG_CSUB_b, SEQ_ARG_CSUB_n };
enum { SEQ_ARG_CMUL_d, SEQ_ARG_CMUL_a, SEQ_ARG_CMUL_b, SEQ_ARG_CMUL_n };
enum { SEQ_ARG_CDIV_d, SEQ_ARG_CDIV_a, SEQ_ARG_CDIV_b, SEQ_ARG_CDIV_n };
enum { SEQ_ARG_CMOD_d, SEQ_ARG_CMOD_a, SEQ_ARG_CMOD_b, SEQ_ARG_CMOD_n };
enum { SEQ_ARG_CSHR_d, SEQ_ARG_CSHR_a, SEQ_ARG_CSHR_m, SEQ_ARG_CSHR_n };
enum { SEQ_ARG_CLTZ_d, SEQ_ARG_CLTZ_a, SEQ_ARG_CLTZ_n };
enum { SEQ_ARG_CEQZ_d, SEQ_ARG_CEQZ_a, SEQ_ARG_CEQZ_n };
enum { SEQ_ARG_CMULI_d, SEQ_ARG_CMULI_a, SEQ_ARG_CMULI_imm, SEQ_ARG_CMULI_n };
enum { SEQ_ARG_CADDI_d, SEQ_ARG_CADDI_a, SEQ_ARG_CADDI_imm, SEQ_ARG_CADDI_n };
enum { SEQ_ARG_CCOPY_d, SEQ_ARG_CCOPY_a, SEQ_ARG_CCOPY_shape, SEQ_ARG_CCOPY_dstr,
    SEQ_ARG_CCOPY_sstr };
enum { SEQ_ARG_CACC_d, SEQ_ARG_CACC_a, SEQ_ARG_CACC_shape, SEQ_ARG_CACC_dstr, SEQ_ARG_CACC_sstr };
enum { SEQ_ARG_CGATHER_d, SEQ_ARG_CGATHER_a, SEQ_ARG_CGATHER_idx, SEQ_ARG_CGATHER_rows,
    SEQ_ARG_CGATHER_len, SEQ_ARG_CGATHER_src };
enum { SEQ_ARG_CMATMUL_d, SEQ_ARG_CMATMUL_a, SEQ_ARG_CMATMUL_b, SEQ_ARG_CMATMUL_M,
    SEQ_ARG_CMATMUL_K, SEQ_ARG_CMATMUL_N, SEQ_ARG_CMATMUL_ta, SEQ_ARG_CMATMUL_tb };
enum { SEQ_ARG_CPERM_d, SEQ_ARG_CPERM_stream, SEQ_ARG_CPERM_n };
enum { SEQ_ARG_CUNIFORM_d, SEQ_ARG_CUNIFORM_lo, SEQ_ARG_CUNIFORM_hi, SEQ_ARG_CUNIFORM_stream,
    SEQ_ARG_CUNIFORM_n };
enum { SEQ_ARG_SADD_d, SEQ_ARG_SADD_a, SEQ_ARG_SADD_b, SEQ_ARG_SADD_n };
enum { SEQ_ARG_SSUB_d, SEQ_ARG_SSUB_a, SEQ_ARG_SSUB_b, SEQ_ARG_SSUB_n };
enum { SEQ_ARG_SADDC_d, SEQ_ARG_SADDC_a, SEQ_ARG_SADDC_b, SEQ_ARG_SADDC_n };
enum { SEQ_ARG_SMULC_d, SEQ_ARG_SMULC_a, SEQ_ARG_SMULC_b, SEQ_ARG_SMULC_n };
enum { SEQ_ARG_SMULI_d, SEQ_ARG_SMULI_a, SEQ_ARG_SMULI_imm, SEQ_ARG_SMULI_n };
enum { SEQ_ARG_SADDI_d, SEQ_ARG_SADDI_a, SEQ_ARG_SADDI_imm, SEQ_ARG_SADDI_n };
enum { SEQ_ARG_SSET_d, SEQ_ARG_SSET_a, SEQ_ARG_SSET_n };
enum { SEQ_ARG_SFILL_d, SEQ_ARG_SFILL_imm, SEQ_ARG_SFILL_n };
enum { SEQ_ARG_SCOPY_d, SEQ_ARG_SCOPY_a, SEQ_ARG_SCOPY_shape, SEQ_ARG_SCOPY_dstr,
    SEQ_ARG_SCOPY_sstr };
enum { SEQ_ARG_SACC_d, SEQ_ARG_SACC_a, SEQ_ARG_SACC_shape, SEQ_ARG_SACC_dstr, SEQ_ARG_SACC_sstr };
enum { SEQ_ARG_SGATHER_d, SEQ_ARG_SGATHER_a, SEQ_ARG_SGATHER_idx, SEQ_ARG_SGATHER_rows,
    SEQ_ARG_SGATHER_len, SEQ_ARG_SGATHER_src };
enum { SEQ_ARG_SSCATTER_d, SEQ_ARG_SSCATTER_a, SEQ_ARG_SSCATTER_idx, SEQ_ARG_SSCATTER_rows,
    SEQ_ARG_SSCATTER_len, SEQ_ARG_SSCATTER_dst };
enum { SEQ_ARG_SMATMULC_d, SEQ_ARG_SMATMULC_a, SEQ_ARG_SMATMULC_b, SEQ_ARG_SMATMULC_M,
    SEQ_ARG_SMATMULC_K, SEQ_ARG_SMATMULC_N, SEQ_ARG_SMATMULC_ta, SEQ_ARG_SMATMULC_tb };
enum { SEQ_ARG_SCMATMUL_d, SEQ_ARG_SCMATMUL_a, SEQ_ARG_SCMATMUL_b, SEQ_ARG_SCMATMUL_M,
    SEQ_ARG_SCMATMUL_K, SEQ_ARG_SCMATMUL_N, SEQ_ARG_SCMATMUL_ta, SEQ_ARG_SCMATMUL_tb };
enum { SEQ_ARG_BXOR_d, SEQ_ARG_BXOR_a, SEQ_ARG_BXOR_b, SEQ_ARG_BXOR_p, SEQ_ARG_BXOR_n };
enum { SEQ_ARG_BNOT_d, SEQ_ARG_BNOT_a, SEQ_ARG_BNOT_p, SEQ_ARG_BNOT_n };
enum { SEQ_ARG_BFILL_d, SEQ_ARG_BFILL_bit, SEQ_ARG_BFILL_p, SEQ_ARG_BFILL_n };
enum { SEQ_ARG_BSET_d, SEQ_ARG_BSET_a, SEQ_ARG_BSET_p, SEQ_ARG_BSET_n };
enum { SEQ_ARG_BCOPY_d, SEQ_ARG_BCOPY_a, SEQ_ARG_BCOPY_p, SEQ_ARG_BCOPY_dn, SEQ_ARG_BCOPY_an,
    SEQ_ARG_BCOPY_doff, SEQ_ARG_BCOPY_aoff, SEQ_ARG_BCOPY_shape, SEQ_ARG_BCOPY_dstr,
    SEQ_ARG_BCOPY_sstr };
enum { SEQ_ARG_BMOVE_d, SEQ_ARG_BMOVE_a, SEQ_ARG_BMOVE_p, SEQ_ARG_BMOVE_n };
enum { SEQ_ARG_BANDC_d, SEQ_ARG_BANDC_a, SEQ_ARG_BANDC_b, SEQ_ARG_BANDC_p, SEQ_ARG_BANDC_n };
enum { SEQ_ARG_MUL_h, SEQ_ARG_MUL_d, SEQ_ARG_MUL_a, SEQ_ARG_MUL_b, SEQ_ARG_MUL_n, SEQ_ARG_MUL_m,
    SEQ_ARG_MUL_mode };
enum { SEQ_ARG_MATMUL_h, SEQ_ARG_MATMUL_d, SEQ_ARG_MATMUL_a, SEQ_ARG_MATMUL_b, SEQ_ARG_MATMUL_M,
    SEQ_ARG_MATMUL_K, SEQ_ARG_MATMUL_N, SEQ_ARG_MATMUL_ta, SEQ_ARG_MATMUL_tb, SEQ_ARG_MATMUL_m,
    SEQ_ARG_MATMUL_mode };
enum { SEQ_ARG_CONV2D_h, SEQ_ARG_CONV2D_d, SEQ_ARG_CONV2D_x, SEQ_ARG_CONV2D_w, SEQ_ARG_CONV2D_B,
    SEQ_ARG_CONV2D_C, SEQ_ARG_CONV2D_H, SEQ_ARG_CONV2D_W, SEQ_ARG_CONV2D_O, SEQ_ARG_CONV2D_KH,
    SEQ_ARG_CONV2D_KW, SEQ_ARG_CONV2D_OH, SEQ_ARG_CONV2D_OW, SEQ_ARG_CONV2D_SH,
    SEQ_ARG_CONV2D_SW, SEQ_ARG_CONV2D_PH, SEQ_ARG_CONV2D_PW, SEQ_ARG_CONV2D_m,
    SEQ_ARG_CONV2D_mode };
enum { SEQ_ARG_CONV2D_DX_h, SEQ_ARG_CONV2D_DX_d, SEQ_ARG_CONV2D_DX_g, SEQ_ARG_CONV2D_DX_w,
    SEQ_ARG_CONV2D_DX_B, SEQ_ARG_CONV2D_DX_C, SEQ_ARG_CONV2D_DX_H, SEQ_ARG_CONV2D_DX_W,
    SEQ_ARG_CONV2D_DX_O, SEQ_ARG_CONV2D_DX_KH, SEQ_ARG_CONV2D_DX_KW, SEQ_ARG_CONV2D_DX_OH,
    SEQ_ARG_CONV2D_DX_OW, SEQ_ARG_CONV2D_DX_SH, SEQ_ARG_CONV2D_DX_SW, SEQ_ARG_CONV2D_DX_PH,
    SEQ_ARG_CONV2D_DX_PW, SEQ_ARG_CONV2D_DX_m, SEQ_ARG_CONV2D_DX_mode };
enum { SEQ_ARG_CONV2D_DW_h, SEQ_ARG_CONV2D_DW_d, SEQ_ARG_CONV2D_DW_g, SEQ_ARG_CONV2D_DW_x,
    SEQ_ARG_CONV2D_DW_B, SEQ_ARG_CONV2D_DW_C, SEQ_ARG_CONV2D_DW_H, SEQ_ARG_CONV2D_DW_W,
    SEQ_ARG_CONV2D_DW_O, SEQ_ARG_CONV2D_DW_KH, SEQ_ARG_CONV2D_DW_KW, SEQ_ARG_CONV2D_DW_OH,
    SEQ_ARG_CONV2D_DW_OW, SEQ_ARG_CONV2D_DW_SH, SEQ_ARG_CONV2D_DW_SW, SEQ_ARG_CONV2D_DW_PH,
    SEQ_ARG_CONV2D_DW_PW, SEQ_ARG_CONV2D_DW_m, SEQ_ARG_CONV2D_DW_mode };
enum { SEQ_ARG_TRUNC_h, SEQ_ARG_TRUNC_d, SEQ_ARG_TRUNC_a, SEQ_ARG_TRUNC_n, SEQ_ARG_TRUNC_m,
    SEQ_ARG_TRUNC_mode };
enum { SEQ_ARG_LTZ_h, SEQ_ARG_LTZ_d, SEQ_ARG_LTZ_a, SEQ_ARG_LTZ_n, SEQ_ARG_LTZ_bits };
enum { SEQ_ARG_EQZ_h, SEQ_ARG_EQZ_d, SEQ_ARG_EQZ_a, SEQ_ARG_EQZ_n, SEQ_ARG_EQZ_bits };
enum { SEQ_ARG_SELECT_h, SEQ_ARG_SELECT_d, SEQ_ARG_SELECT_b, SEQ_ARG_SELECT_a, SEQ_ARG_SELECT_n };
enum { SEQ_ARG_B2A_h, SEQ_ARG_B2A_d, SEQ_ARG_B2A_a, SEQ_ARG_B2A_p, SEQ_ARG_B2A_n };
enum { SEQ_ARG_A2B_h, SEQ_ARG_A2B_d, SEQ_ARG_A2B_a, SEQ_ARG_A2B_n, SEQ_ARG_A2B_bits };
enum { SEQ_ARG_AND_h, SEQ_ARG_AND_d, SEQ_ARG_AND_a, SEQ_ARG_AND_b, SEQ_ARG_AND_p, SEQ_ARG_AND_n };
enum { SEQ_ARG_OPEN_h, SEQ_ARG_OPEN_d, SEQ_ARG_OPEN_a, SEQ_ARG_OPEN_n };
enum { SEQ_ARG_OPENB_h, SEQ_ARG_OPENB_d, SEQ_ARG_OPENB_a, SEQ_ARG_OPENB_p, SEQ_ARG_OPENB_n };
enum { SEQ_ARG_RANDBIT_h, SEQ_ARG_RANDBIT_d, SEQ_ARG_RANDBIT_p, SEQ_ARG_RANDBIT_n };
enum { SEQ_ARG_INPUT_h, SEQ_ARG_INPUT_d, SEQ_ARG_INPUT_in, SEQ_ARG_INPUT_n };
enum { SEQ_ARG_OUTPUT_h, SEQ_ARG_OUTPUT_out, SEQ_ARG_OUTPUT_a, SEQ_ARG_OUTPUT_n };
enum { SEQ_ARG_OUTPUTB_h, SEQ_ARG_OUTPUTB_out, SEQ_ARG_OUTPUTB_a, SEQ_ARG_OUTPUTB_p,
    SEQ_ARG_OUTPUTB_n };
enum { SEQ_ARG_SHUFFLE_h, SEQ_ARG_SHUFFLE_d, SEQ_ARG_SHUFFLE_a, SEQ_ARG_SHUFFLE_order,
    SEQ_ARG_SHUFFLE_n, SEQ_ARG_SHUFFLE_len };
enum { SEQ_ARG_SELECT_KEEP_h, SEQ_ARG_SELECT_KEEP_d, SEQ_ARG_SELECT_KEEP_k,
    SEQ_ARG_SELECT_KEEP_b, SEQ_ARG_SELECT_KEEP_a, SEQ_ARG_SELECT_KEEP_n };
enum { SEQ_ARG_SELECT_KEPT_h, SEQ_ARG_SELECT_KEPT_d, SEQ_ARG_SELECT_KEPT_k,
    SEQ_ARG_SELECT_KEPT_b, SEQ_ARG_SELECT_KEPT_a, SEQ_ARG_SELECT_KEPT_n };
enum { SEQ_ARG_MUL_ADD_h, SEQ_ARG_MUL_ADD_d, SEQ_ARG_MUL_ADD_a, SEQ_ARG_MUL_ADD_b,
    SEQ_ARG_MUL_ADD_n, SEQ_ARG_MUL_ADD_m, SEQ_ARG_MUL_ADD_mode, SEQ_ARG_MUL_ADD_e };
enum { SEQ_ARG_MATMUL_ADD_h, SEQ_ARG_MATMUL_ADD_d, SEQ_ARG_MATMUL_ADD_a, SEQ_ARG_MATMUL_ADD_b,
    SEQ_ARG_MATMUL_ADD_M, SEQ_ARG_MATMUL_ADD_K, SEQ_ARG_MATMUL_ADD_N, SEQ_ARG_MATMUL_ADD_ta,
    SEQ_ARG_MATMUL_ADD_tb, SEQ_ARG_MATMUL_ADD_m, SEQ_ARG_MATMUL_ADD_mode, SEQ_ARG_MATMUL_ADD_e };
enum { SEQ_ARG_CONV2D_ADD_h, SEQ_ARG_CONV2D_ADD_d, SEQ_ARG_CONV2D_ADD_x, SEQ_ARG_CONV2D_ADD_w,
    SEQ_ARG_CONV2D_ADD_B, SEQ_ARG_CONV2D_ADD_C, SEQ_ARG_CONV2D_ADD_H, SEQ_ARG_CONV2D_ADD_W,
    SEQ_ARG_CONV2D_ADD_O, SEQ_ARG_CONV2D_ADD_KH, SEQ_ARG_CONV2D_ADD_KW, SEQ_ARG_CONV2D_ADD_OH,
    SEQ_ARG_CONV2D_ADD_OW, SEQ_ARG_CONV2D_ADD_SH, SEQ_ARG_CONV2D_ADD_SW, SEQ_ARG_CONV2D_ADD_PH,
    SEQ_ARG_CONV2D_ADD_PW, SEQ_ARG_CONV2D_ADD_m, SEQ_ARG_CONV2D_ADD_mode, SEQ_ARG_CONV2D_ADD_e };
enum { SEQ_ARG_CONV2D_DX_ADD_h, SEQ_ARG_CONV2D_DX_ADD_d, SEQ_ARG_CONV2D_DX_ADD_g,
    SEQ_ARG_CONV2D_DX_ADD_w, SEQ_ARG_CONV2D_DX_ADD_B, SEQ_ARG_CONV2D_DX_ADD_C,
    SEQ_ARG_CONV2D_DX_ADD_H, SEQ_ARG_CONV2D_DX_ADD_W, SEQ_ARG_CONV2D_DX_ADD_O,
    SEQ_ARG_CONV2D_DX_ADD_KH, SEQ_ARG_CONV2D_DX_ADD_KW, SEQ_ARG_CONV2D_DX_ADD_OH,
    SEQ_ARG_CONV2D_DX_ADD_OW, SEQ_ARG_CONV2D_DX_ADD_SH, SEQ_ARG_CONV2D_DX_ADD_SW,
    SEQ_ARG_CONV2D_DX_ADD_PH, SEQ_ARG_CONV2D_DX_ADD_PW, SEQ_ARG_CONV2D_DX_ADD_m,
    SEQ_ARG_CONV2D_DX_ADD_mode, SEQ_ARG_CONV2D_DX_ADD_e };
enum { SEQ_ARG_CONV2D_DW_ADD_h, SEQ_ARG_CONV2D_DW_ADD_d, SEQ_ARG_CONV2D_DW_ADD_g,
    SEQ_ARG_CONV2D_DW_ADD_x, SEQ_ARG_CONV2D_DW_ADD_B, SEQ_ARG_CONV2D_DW_ADD_C,
    SEQ_ARG_CONV2D_DW_ADD_H, SEQ_ARG_CONV2D_DW_ADD_W, SEQ_ARG_CONV2D_DW_ADD_O,
    SEQ_ARG_CONV2D_DW_ADD_KH, SEQ_ARG_CONV2D_DW_ADD_KW, SEQ_ARG_CONV2D_DW_ADD_OH,
    SEQ_ARG_CONV2D_DW_ADD_OW, SEQ_ARG_CONV2D_DW_ADD_SH, SEQ_ARG_CONV2D_DW_ADD_SW,
    SEQ_ARG_CONV2D_DW_ADD_PH, SEQ_ARG_CONV2D_DW_ADD_PW, SEQ_ARG_CONV2D_DW_ADD_m,
    SEQ_ARG_CONV2D_DW_ADD_mode, SEQ_ARG_CONV2D_DW_ADD_e };
enum { SEQ_ARG_COUTPUT_out, SEQ_ARG_COUTPUT_a, SEQ_ARG_COUTPUT_n };
enum { SEQ_ARG_PTEXT_str };
enum { SEQ_ARG_PVAL_a, SEQ_ARG_PVAL_n, SEQ_ARG_PVAL_f, SEQ_ARG_PVAL_fmt };

/* What an operand is. */
enum {
    ISA_S, /* register: arithmetic shares */
    ISA_B, /* register: bit shares */
    ISA_C, /* register: clear words */
    ISA_COUNT, /* a count or size, 0 <= n < 2^40 */
    ISA_IMM, /* a signed 64-bit immediate */
    ISA_FLAG, /* 0 or 1 */
    ISA_HANDLE, /* a handle */
    ISA_PARTY, /* a party's index */
    ISA_STR, /* index into STRINGS */
    ISA_IN, /* index into INPUTS */
    ISA_OUT, /* index into OUTPUTS */
    ISA_POOL, /* first of n words in POOL (n: the operand of that name) */
    ISA_DIMS, /* a count, then that many signed words; counts as one operand */
    ISA_RANGES, /* 3 k, then k triples of register file, address, size; one operand */
};

/* How many elements a register operand covers. NONE: not a register. PRODUCT: the
 * product of the operands by[0..count-1] (count 0: one element). STRIDED: the index
 * space of the dims operand by[0], walked with the strides of the dims operand by[1]. */
enum { ISA_EXTENT_NONE, ISA_EXTENT_PRODUCT, ISA_EXTENT_STRIDED };

typedef struct {
    const char *name;
    uint8_t kind;          /* ISA_S .. ISA_RANGES */
    uint8_t reads, writes; /* of a register */
    uint8_t extent, count; /* see above */
    int8_t planes; /* bit registers: the operand that counts planes, -1: one plane */
    uint8_t by[4];
} isa_operand;

typedef struct {
    uint32_t code;
    const char *name; /* NULL: no such instruction */
    uint8_t operand_count, interactive, effect;
    const isa_operand *operands;
} isa_op;

static const isa_operand isa_operands[] = {
    {"c", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 0, -1, {0}}, /* loop */
    {"trips", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* loop */
    {"c", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 0, -1, {0}}, /* breakz */
    {"c", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 0, -1, {0}}, /* if */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* join */
    {"moving", ISA_RANGES, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* checkpoint */
    {"still", ISA_RANGES, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* checkpoint */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* cset */
    {"pool", ISA_POOL, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cset */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cset */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* cfill */
    {"imm", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cfill */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cfill */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cadd */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cadd */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cadd */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cadd */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* csub */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* csub */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* csub */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* csub */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmul */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmul */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmul */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmul */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cdiv */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cdiv */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cdiv */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cdiv */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmod */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmod */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmod */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmod */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cshr */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cshr */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cshr */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cshr */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* cltz */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* cltz */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cltz */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* ceqz */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* ceqz */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ceqz */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmuli */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cmuli */
    {"imm", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmuli */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmuli */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* caddi */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* caddi */
    {"imm", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* caddi */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* caddi */
    {"d", ISA_C, 0, 1, ISA_EXTENT_STRIDED, 2, -1, {2, 3}}, /* ccopy */
    {"a", ISA_C, 1, 0, ISA_EXTENT_STRIDED, 2, -1, {2, 4}}, /* ccopy */
    {"shape", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ccopy */
    {"dstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ccopy */
    {"sstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ccopy */
    {"d", ISA_C, 1, 1, ISA_EXTENT_STRIDED, 2, -1, {2, 3}}, /* cacc */
    {"a", ISA_C, 1, 0, ISA_EXTENT_STRIDED, 2, -1, {2, 4}}, /* cacc */
    {"shape", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cacc */
    {"dstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cacc */
    {"sstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cacc */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* cgather */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {5, 4}}, /* cgather */
    {"idx", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* cgather */
    {"rows", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cgather */
    {"len", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cgather */
    {"src", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cgather */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {3, 5}}, /* cmatmul */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* cmatmul */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* cmatmul */
    {"M", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmatmul */
    {"K", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmatmul */
    {"N", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmatmul */
    {"ta", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmatmul */
    {"tb", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cmatmul */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* cperm */
    {"stream", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cperm */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cperm */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* cuniform */
    {"lo", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cuniform */
    {"hi", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cuniform */
    {"stream", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cuniform */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* cuniform */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* sadd */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* sadd */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* sadd */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sadd */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* ssub */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* ssub */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* ssub */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ssub */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* saddc */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* saddc */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* saddc */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* saddc */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* smulc */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* smulc */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* smulc */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smulc */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* smuli */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* smuli */
    {"imm", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smuli */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smuli */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* saddi */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* saddi */
    {"imm", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* saddi */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* saddi */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* sset */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* sset */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sset */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* sfill */
    {"imm", ISA_IMM, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sfill */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sfill */
    {"d", ISA_S, 0, 1, ISA_EXTENT_STRIDED, 2, -1, {2, 3}}, /* scopy */
    {"a", ISA_S, 1, 0, ISA_EXTENT_STRIDED, 2, -1, {2, 4}}, /* scopy */
    {"shape", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scopy */
    {"dstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scopy */
    {"sstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scopy */
    {"d", ISA_S, 1, 1, ISA_EXTENT_STRIDED, 2, -1, {2, 3}}, /* sacc */
    {"a", ISA_S, 1, 0, ISA_EXTENT_STRIDED, 2, -1, {2, 4}}, /* sacc */
    {"shape", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sacc */
    {"dstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sacc */
    {"sstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sacc */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* sgather */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {5, 4}}, /* sgather */
    {"idx", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* sgather */
    {"rows", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sgather */
    {"len", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sgather */
    {"src", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sgather */
    {"d", ISA_S, 1, 1, ISA_EXTENT_PRODUCT, 2, -1, {5, 4}}, /* sscatter */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* sscatter */
    {"idx", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* sscatter */
    {"rows", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sscatter */
    {"len", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sscatter */
    {"dst", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* sscatter */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {3, 5}}, /* smatmulc */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* smatmulc */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* smatmulc */
    {"M", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smatmulc */
    {"K", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smatmulc */
    {"N", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smatmulc */
    {"ta", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smatmulc */
    {"tb", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* smatmulc */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {3, 5}}, /* scmatmul */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* scmatmul */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* scmatmul */
    {"M", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scmatmul */
    {"K", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scmatmul */
    {"N", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scmatmul */
    {"ta", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scmatmul */
    {"tb", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* scmatmul */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* bxor */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* bxor */
    {"b", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* bxor */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bxor */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bxor */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bnot */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bnot */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bnot */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bnot */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bfill */
    {"bit", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bfill */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bfill */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bfill */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bset */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* bset */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bset */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bset */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bcopy */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 2, {4}}, /* bcopy */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"dn", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"an", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"doff", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"aoff", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"shape", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"dstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"sstr", ISA_DIMS, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bcopy */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bmove */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* bmove */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bmove */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bmove */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* bandc */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* bandc */
    {"b", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* bandc */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bandc */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* bandc */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {4, 6}}, /* matmul */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* matmul */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {5, 6}}, /* matmul */
    {"M", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"K", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"N", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"ta", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"tb", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d */
    {"x", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d */
    {"w", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d */
    {"B", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"C", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"H", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"W", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"O", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"KH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"KW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"OH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"OW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"SH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"SW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"PH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"PW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d_dx */
    {"g", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d_dx */
    {"w", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d_dx */
    {"B", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"C", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"H", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"W", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"O", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"KH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"KW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"OH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"OW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"SH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"SW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"PH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"PW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d_dw */
    {"g", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d_dw */
    {"x", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d_dw */
    {"B", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"C", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"H", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"W", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"O", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"KH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"KW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"OH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"OW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"SH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"SW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"PH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"PW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* trunc */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* trunc */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* trunc */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* trunc */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* trunc */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* trunc */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ltz */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* ltz */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* ltz */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ltz */
    {"bits", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ltz */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* eqz */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* eqz */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* eqz */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* eqz */
    {"bits", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* eqz */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* select */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* select */
    {"b", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* select */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* select */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* select */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* b2a */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {3, 4}}, /* b2a */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* b2a */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* b2a */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* b2a */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* a2b */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 4, {3}}, /* a2b */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* a2b */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* a2b */
    {"bits", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* a2b */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* and */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 4, {5}}, /* and */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 4, {5}}, /* and */
    {"b", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 4, {5}}, /* and */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* and */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* and */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* open */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* open */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* open */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* open */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* openb */
    {"d", ISA_C, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* openb */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* openb */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* openb */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* openb */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* randbit */
    {"d", ISA_B, 0, 1, ISA_EXTENT_PRODUCT, 1, 2, {3}}, /* randbit */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* randbit */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* randbit */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* input */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* input */
    {"in", ISA_IN, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* input */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* input */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* output */
    {"out", ISA_OUT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* output */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {3}}, /* output */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* output */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* outputb */
    {"out", ISA_OUT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* outputb */
    {"a", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, 3, {4}}, /* outputb */
    {"p", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* outputb */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* outputb */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* shuffle */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* shuffle */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* shuffle */
    {"order", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 0, -1, {0}}, /* shuffle */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* shuffle */
    {"len", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* shuffle */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* select_keep */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_keep */
    {"k", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_keep */
    {"b", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_keep */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_keep */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* select_keep */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* select_kept */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_kept */
    {"k", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_kept */
    {"b", ISA_B, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_kept */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {5}}, /* select_kept */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* select_kept */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul_add */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul_add */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul_add */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul_add */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul_add */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul_add */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* mul_add */
    {"e", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {4}}, /* mul_add */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 2, -1, {4, 6}}, /* matmul_add */
    {"a", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 5}}, /* matmul_add */
    {"b", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {5, 6}}, /* matmul_add */
    {"M", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"K", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"N", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"ta", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"tb", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* matmul_add */
    {"e", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 2, -1, {4, 6}}, /* matmul_add */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d_add */
    {"x", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d_add */
    {"w", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d_add */
    {"B", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"C", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"H", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"W", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"O", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"KH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"KW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"OH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"OW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"SH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"SW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"PH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"PW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_add */
    {"e", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d_add */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d_dx_add */
    {"g", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d_dx_add */
    {"w", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d_dx_add */
    {"B", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"C", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"H", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"W", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"O", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"KH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"KW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"OH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"OW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"SH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"SW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"PH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"PW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dx_add */
    {"e", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d_dx_add */
    {"h", ISA_HANDLE, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"d", ISA_S, 0, 1, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d_dw_add */
    {"g", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 8, 11, 12}}, /* conv2d_dw_add */
    {"x", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {4, 5, 6, 7}}, /* conv2d_dw_add */
    {"B", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"C", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"H", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"W", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"O", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"KH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"KW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"OH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"OW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"SH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"SW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"PH", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"PW", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"m", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"mode", ISA_FLAG, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* conv2d_dw_add */
    {"e", ISA_S, 1, 0, ISA_EXTENT_PRODUCT, 4, -1, {8, 5, 9, 10}}, /* conv2d_dw_add */
    {"out", ISA_OUT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* coutput */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {2}}, /* coutput */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* coutput */
    {"str", ISA_STR, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* ptext */
    {"a", ISA_C, 1, 0, ISA_EXTENT_PRODUCT, 1, -1, {1}}, /* pval */
    {"n", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* pval */
    {"f", ISA_COUNT, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* pval */
    {"fmt", ISA_STR, 0, 0, ISA_EXTENT_NONE, 0, -1, {0}}, /* pval */
};

static const isa_op isa_ops[] = {
    [0x00] = {0x00, "end", 0, 0, 1, isa_operands + 0},
    [0x01] = {0x01, "loop", 2, 0, 1, isa_operands + 0},
    [0x02] = {0x02, "endloop", 0, 0, 1, isa_operands + 2},
    [0x03] = {0x03, "breakz", 1, 0, 1, isa_operands + 2},
    [0x04] = {0x04, "if", 1, 0, 1, isa_operands + 3},
    [0x05] = {0x05, "else", 0, 0, 1, isa_operands + 4},
    [0x06] = {0x06, "endif", 0, 0, 1, isa_operands + 4},
    [0x07] = {0x07, "join", 1, 0, 1, isa_operands + 4},
    [0x08] = {0x08, "checkpoint", 2, 0, 1, isa_operands + 5},
    [0x10] = {0x10, "cset", 3, 0, 0, isa_operands + 7},
    [0x11] = {0x11, "cfill", 3, 0, 0, isa_operands + 10},
    [0x12] = {0x12, "cadd", 4, 0, 0, isa_operands + 13},
    [0x13] = {0x13, "csub", 4, 0, 0, isa_operands + 17},
    [0x14] = {0x14, "cmul", 4, 0, 0, isa_operands + 21},
    [0x15] = {0x15, "cdiv", 4, 0, 0, isa_operands + 25},
    [0x16] = {0x16, "cmod", 4, 0, 0, isa_operands + 29},
    [0x17] = {0x17, "cshr", 4, 0, 0, isa_operands + 33},
    [0x18] = {0x18, "cltz", 3, 0, 0, isa_operands + 37},
    [0x19] = {0x19, "ceqz", 3, 0, 0, isa_operands + 40},
    [0x1A] = {0x1A, "cmuli", 4, 0, 0, isa_operands + 43},
    [0x1B] = {0x1B, "caddi", 4, 0, 0, isa_operands + 47},
    [0x1C] = {0x1C, "ccopy", 5, 0, 0, isa_operands + 51},
    [0x1D] = {0x1D, "cacc", 5, 0, 0, isa_operands + 56},
    [0x1E] = {0x1E, "cgather", 6, 0, 0, isa_operands + 61},
    [0x1F] = {0x1F, "cmatmul", 8, 0, 0, isa_operands + 67},
    [0x20] = {0x20, "cperm", 3, 0, 0, isa_operands + 75},
    [0x21] = {0x21, "cuniform", 5, 0, 0, isa_operands + 78},
    [0x30] = {0x30, "sadd", 4, 0, 0, isa_operands + 83},
    [0x31] = {0x31, "ssub", 4, 0, 0, isa_operands + 87},
    [0x32] = {0x32, "saddc", 4, 0, 0, isa_operands + 91},
    [0x33] = {0x33, "smulc", 4, 0, 0, isa_operands + 95},
    [0x34] = {0x34, "smuli", 4, 0, 0, isa_operands + 99},
    [0x35] = {0x35, "saddi", 4, 0, 0, isa_operands + 103},
    [0x36] = {0x36, "sset", 3, 0, 0, isa_operands + 107},
    [0x37] = {0x37, "sfill", 3, 0, 0, isa_operands + 110},
    [0x38] = {0x38, "scopy", 5, 0, 0, isa_operands + 113},
    [0x39] = {0x39, "sacc", 5, 0, 0, isa_operands + 118},
    [0x3A] = {0x3A, "sgather", 6, 0, 0, isa_operands + 123},
    [0x3B] = {0x3B, "sscatter", 6, 0, 0, isa_operands + 129},
    [0x3C] = {0x3C, "smatmulc", 8, 0, 0, isa_operands + 135},
    [0x3D] = {0x3D, "scmatmul", 8, 0, 0, isa_operands + 143},
    [0x50] = {0x50, "bxor", 5, 0, 0, isa_operands + 151},
    [0x51] = {0x51, "bnot", 4, 0, 0, isa_operands + 156},
    [0x52] = {0x52, "bfill", 4, 0, 0, isa_operands + 160},
    [0x53] = {0x53, "bset", 4, 0, 0, isa_operands + 164},
    [0x54] = {0x54, "bcopy", 10, 0, 0, isa_operands + 168},
    [0x55] = {0x55, "bmove", 4, 0, 0, isa_operands + 178},
    [0x56] = {0x56, "bandc", 5, 0, 0, isa_operands + 182},
    [0x80] = {0x80, "mul", 7, 1, 0, isa_operands + 187},
    [0x81] = {0x81, "matmul", 11, 1, 0, isa_operands + 194},
    [0x82] = {0x82, "conv2d", 19, 1, 0, isa_operands + 205},
    [0x83] = {0x83, "conv2d_dx", 19, 1, 0, isa_operands + 224},
    [0x84] = {0x84, "conv2d_dw", 19, 1, 0, isa_operands + 243},
    [0x85] = {0x85, "trunc", 6, 1, 0, isa_operands + 262},
    [0x86] = {0x86, "ltz", 5, 1, 0, isa_operands + 268},
    [0x87] = {0x87, "eqz", 5, 1, 0, isa_operands + 273},
    [0x88] = {0x88, "select", 5, 1, 0, isa_operands + 278},
    [0x89] = {0x89, "b2a", 5, 1, 0, isa_operands + 283},
    [0x8A] = {0x8A, "a2b", 5, 1, 0, isa_operands + 288},
    [0x8B] = {0x8B, "and", 6, 1, 0, isa_operands + 293},
    [0x8C] = {0x8C, "open", 4, 1, 0, isa_operands + 299},
    [0x8D] = {0x8D, "openb", 5, 1, 0, isa_operands + 303},
    [0x8E] = {0x8E, "randbit", 4, 1, 0, isa_operands + 308},
    [0x8F] = {0x8F, "input", 4, 1, 1, isa_operands + 312},
    [0x90] = {0x90, "output", 4, 1, 1, isa_operands + 316},
    [0x91] = {0x91, "outputb", 5, 1, 1, isa_operands + 320},
    [0x92] = {0x92, "shuffle", 6, 1, 0, isa_operands + 325},
    [0x98] = {0x98, "select_keep", 6, 1, 0, isa_operands + 331},
    [0x99] = {0x99, "select_kept", 6, 1, 0, isa_operands + 337},
    [0x9A] = {0x9A, "mul_add", 8, 1, 0, isa_operands + 343},
    [0x9B] = {0x9B, "matmul_add", 12, 1, 0, isa_operands + 351},
    [0x9C] = {0x9C, "conv2d_add", 20, 1, 0, isa_operands + 363},
    [0x9D] = {0x9D, "conv2d_dx_add", 20, 1, 0, isa_operands + 383},
    [0x9E] = {0x9E, "conv2d_dw_add", 20, 1, 0, isa_operands + 403},
    [0xC0] = {0xC0, "coutput", 3, 0, 1, isa_operands + 423},
    [0xC1] = {0xC1, "ptext", 1, 0, 1, isa_operands + 426},
    [0xC2] = {0xC2, "pval", 4, 0, 1, isa_operands + 427},
};

/* The row of an opcode, or NULL if there is none. */
static inline const isa_op *isa_find(uint64_t code) {
    if (code >= sizeof isa_ops / sizeof isa_ops[0] || !isa_ops[code].name)
        return NULL;
    return &isa_ops[code];
}

/* clang-format on */
#endif
