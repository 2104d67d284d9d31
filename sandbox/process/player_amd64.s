#include "textflag.h"

// The player: see tape.go for what it plays. It is never called from Go; it is copied into an ELF image of its own and
// starts there, with an empty stack and nothing but the tape. Constants are those of tape.go.

#define TAPE 0x20000000
#define HEAD 0x10000000
#define CTLFD 4

// ARG loads argument i into reg, through the pointer that it is when bit i of R13 is set.
#define ARG(i, off, reg) \
	MOVQ off(R12), reg \
	BTQ $i, R13 \
	JCC 2(PC) \
	MOVQ (reg), reg

TEXT ·player(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ $TAPE, R12
play:
	MOVQ 72(R12), R13
	ARG(0, 8, DI)
	ARG(1, 16, SI)
	ARG(2, 24, DX)
	ARG(3, 32, R10)
	ARG(4, 40, R8)
	ARG(5, 48, R9)
	MOVQ 0(R12), AX
	CMPQ AX, $-1
	JEQ  branch
	SYSCALL
	MOVQ 56(R12), BX
	TESTQ BX, BX
	JEQ  check
	MOVQ AX, (BX)
check:
	CMPQ AX, $-4095
	JCS  next // unsigned below: no error
	MOVQ 64(R12), BX
	TESTQ BX, BX
	JNE  next // may fail
	MOVQ $HEAD, SI
	MOVQ R12, 0(SI)
	NEGQ AX
	MOVQ AX, 8(SI)
	MOVQ $1, AX // write(CTLFD, HEAD, 16)
	MOVQ $CTLFD, DI
	MOVQ $16, DX
	SYSCALL
	MOVQ $231, AX // exit_group(111)
	MOVQ $111, DI
	SYSCALL
branch: // to DX when DI == SI is as R10 says
	XORQ AX, AX
	CMPQ DI, SI
	JNE  2(PC)
	MOVQ $1, AX
	CMPQ AX, R10
	JNE  next
	MOVQ DX, R12
	JMP  play
next:
	ADDQ $80, R12
	JMP  play
	BYTE $'L'; BYTE $'A'; BYTE $'M'; BYTE $'B'; BYTE $'E'; BYTE $'N'; BYTE $'T'; BYTE $'\n'

// func playerStart() uintptr
TEXT ·playerStart(SB), NOSPLIT, $0-8
	LEAQ ·player(SB), AX
	MOVQ AX, ret+0(FP)
	RET
