#include "textflag.h"

// The player: see tape.go for what it plays. It is never called from Go; it is copied into an ELF image of its own and
// starts there, with an empty stack and nothing but the tape. Constants are those of tape.go.

#define TAPE 0x20000000
#define HEAD 0x10000000
#define CTLFD 4

// ARG loads argument i into reg, through the pointer that it is when bit i of R20 is set.
#define ARG(i, off, reg) \
	MOVD off(R19), reg \
	TBZ $i, R20, 2(PC) \
	MOVD (reg), reg

TEXT ·player(SB), NOSPLIT|NOFRAME, $0-0
	MOVD $TAPE, R19
play:
	MOVD 72(R19), R20
	ARG(0, 8, R0)
	ARG(1, 16, R1)
	ARG(2, 24, R2)
	ARG(3, 32, R3)
	ARG(4, 40, R4)
	ARG(5, 48, R5)
	MOVD 0(R19), R8
	CMN  $1, R8
	BEQ  branch
	SVC  $0
	MOVD 56(R19), R9
	CBZ  R9, check
	MOVD R0, (R9)
check:
	CMN  $4095, R0
	BLO  next // unsigned below: no error
	MOVD 64(R19), R9
	CBNZ R9, next // may fail
	MOVD $HEAD, R1
	MOVD R19, 0(R1)
	NEG  R0, R0
	MOVD R0, 8(R1)
	MOVD $64, R8 // write(CTLFD, HEAD, 16)
	MOVD $CTLFD, R0
	MOVD $16, R2
	SVC  $0
	MOVD $94, R8 // exit_group(111)
	MOVD $111, R0
	SVC  $0
branch: // to R2 when R0 == R1 is as R3 says
	CMP  R1, R0
	CSET EQ, R9
	CMP  R3, R9
	BNE  next
	MOVD R2, R19
	B    play
next:
	ADD  $80, R19
	B    play
	WORD $0x424d414c // "LAMB"
	WORD $0x0a544e45 // "ENT\n"

// func playerStart() uintptr
TEXT ·playerStart(SB), NOSPLIT, $0-8
	MOVD $·player(SB), R0
	MOVD R0, ret+0(FP)
	RET
