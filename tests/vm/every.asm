.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=0 s_size=4096 b_size=65536 c_size=1024 handles=4 checked=0
.string ""
.string "every.asm"
.string "x"
.string "y"
.string "z"
.input party=0 name="x" f=0 shape=[150]
.input party=2 name="y" f=0 shape=[150]
.output name="x" party=all f=0 planes=0 shape=[150]
.output name="y" party=1 f=0 planes=0 shape=[150]
.output name="z" party=2 f=0 planes=9 shape=[150]
.line "every.asm":1
    input h=0 d=s0 in=0 n=150
    input h=1 d=s150 in=1 n=150
    join h=0
    join h=1
    cperm d=c0 stream=1 n=150
    sadd d=s300 a=s0 b=s150 n=150
    ssub d=s450 a=s300 b=s150 n=150
    saddc d=s450 a=s450 b=c0 n=150
    smulc d=s450 a=s450 b=c0 n=150
    smuli d=s450 a=s450 imm=-3 n=150
    saddi d=s450 a=s450 imm=5 n=150
    sset d=s600 a=c0 n=150
    sfill d=s750 imm=7 n=150
    scopy d=s900 a=s0 shape=[10,15] dstr=[15,1] sstr=[1,10]
    sacc d=s750 a=s900 shape=[150] dstr=[1] sstr=[1]
    sgather d=s1050 a=s750 idx=c0 rows=150 len=1 src=150
    sscatter d=s750 a=s1050 idx=c0 rows=150 len=1 dst=150
    smatmulc d=s1200 a=s0 b=c0 M=10 K=15 N=10 ta=0 tb=1
    scmatmul d=s1300 a=c0 b=s0 M=15 K=10 N=15 ta=1 tb=0
    mul h=0 d=s1600 a=s0 b=s150 n=150 m=0 mode=0
    mul h=1 d=s1750 a=s0 b=s150 n=150 m=16 mode=0
    mul h=2 d=s1900 a=s0 b=s150 n=150 m=16 mode=1
    join h=0
    join h=1
    join h=2
    matmul h=0 d=s2050 a=s0 b=s150 M=10 K=15 N=10 ta=0 tb=1 m=8 mode=0
    conv2d h=1 d=s2200 x=s0 w=s150 B=2 C=3 H=5 W=5 O=2 KH=3 KW=3 OH=3 OW=3 SH=2 SW=2 PH=1 PW=1 m=4 mode=0
    join h=0
    join h=1
    conv2d_dx h=0 d=s2300 g=s2200 w=s150 B=2 C=3 H=5 W=5 O=2 KH=3 KW=3 OH=3 OW=3 SH=2 SW=2 PH=1 PW=1 m=4 mode=1
    conv2d_dw h=1 d=s2450 g=s2200 x=s0 B=2 C=3 H=5 W=5 O=2 KH=3 KW=3 OH=3 OW=3 SH=2 SW=2 PH=1 PW=1 m=0 mode=0
    trunc h=2 d=s2550 a=s0 n=150 m=5 mode=0
    join h=0
    join h=1
    join h=2
    mul_add h=0 d=s3300 a=s0 b=s150 n=150 m=16 mode=0 e=s450
    matmul_add h=1 d=s3450 a=s0 b=s150 M=10 K=15 N=10 ta=0 tb=1 m=8 mode=1 e=s450
    join h=0
    join h=1
    conv2d_add h=0 d=s3300 x=s0 w=s150 B=2 C=3 H=5 W=5 O=2 KH=3 KW=3 OH=3 OW=3 SH=2 SW=2 PH=1 PW=1 m=4 mode=0 e=s450
    conv2d_dx_add h=1 d=s3450 g=s2200 w=s150 B=2 C=3 H=5 W=5 O=2 KH=3 KW=3 OH=3 OW=3 SH=2 SW=2 PH=1 PW=1 m=4 mode=0 e=s0
    conv2d_dw_add h=2 d=s3600 g=s2200 x=s0 B=2 C=3 H=5 W=5 O=2 KH=3 KW=3 OH=3 OW=3 SH=2 SW=2 PH=1 PW=1 m=4 mode=0 e=s150
    join h=0
    join h=1
    join h=2
    trunc h=0 d=s2700 a=s150 n=150 m=5 mode=1
    ltz h=1 d=b0 a=s0 n=150 bits=32
    eqz h=2 d=b64 a=s150 n=150 bits=17
    a2b h=3 d=b128 a=s0 n=150 bits=9
    join h=0
    join h=1
    join h=2
    join h=3
    randbit h=0 d=b512 p=9 n=150
    join h=0
    bxor d=b1024 a=b128 b=b512 p=9 n=150
    bnot d=b1024 a=b1024 p=9 n=150
    bfill d=b2048 bit=1 p=9 n=150
    bset d=b3072 a=c0 p=9 n=150
    bcopy d=b4096 a=b128 p=9 dn=150 an=150 doff=0 aoff=149 shape=[150] dstr=[1] sstr=[-1]
    bmove d=b5120 a=b4096 p=9 n=150
    bandc d=b5120 a=b5120 b=c0 p=9 n=150
    and h=0 d=b6144 a=b1024 b=b4096 p=9 n=150
    select_keep h=1 d=s2850 k=s3000 b=b0 a=s150 n=150
    join h=1
    select_kept h=1 d=s2700 k=s3000 b=b0 a=s2850 n=150
    join h=1
    select h=1 d=s2850 b=b0 a=s150 n=150
    b2a h=2 d=s3000 a=b128 p=2 n=150
    join h=0
    join h=1
    join h=2
    shuffle h=0 d=s2700 a=s2850 order=c0 n=30 len=5
    join h=0
    open h=0 d=c150 a=s2850 n=150
    openb h=1 d=c300 a=b6144 p=9 n=150
    join h=0
    join h=1
    if c=c300
        output h=0 out=0 a=s1750 n=150
        join h=0
    endif
    output h=1 out=1 a=s3000 n=150
    outputb h=2 out=2 a=b1024 p=9 n=150
    join h=1
    join h=2
    end
