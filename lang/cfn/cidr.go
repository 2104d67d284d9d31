package cfn

import (
	"math/big"
	"net/netip"
	"strconv"
)

const cidrShape = "Template error: every Fn::Cidr object requires two or three parameters, the IP block, the number of CIDRs (1 to 256) and the number of subnet bits"

// cidr evaluates Fn::Cidr: count blocks of 2^bits addresses each, from the start of a block.
func (s *Scope) cidr(arg any) (any, error) {
	args, err := s.list(arg)
	if err != nil {
		return nil, err
	}
	if len(args) < 2 || len(args) > 3 {
		return nil, invalid(cidrShape)
	}
	if hasUnknown(args) {
		return Unknown{}, nil
	}
	block, _ := Text(args[0])
	prefix, err := netip.ParsePrefix(block)
	if err != nil {
		return nil, invalid("Template error: Fn::Cidr: %s is not a CIDR block", block)
	}
	countText, _ := Text(args[1])
	count, err := strconv.Atoi(countText)
	if err != nil || count < 1 || count > 256 {
		return nil, invalid(cidrShape)
	}
	bits := 8
	if prefix.Addr().Is6() {
		bits = 64
	}
	if len(args) == 3 {
		text, _ := Text(args[2])
		if bits, err = strconv.Atoi(text); err != nil {
			return nil, invalid(cidrShape)
		}
	}
	return subnets(prefix.Masked(), count, bits)
}

func subnets(prefix netip.Prefix, count, bits int) (any, error) {
	length := prefix.Addr().BitLen()
	ones := length - bits
	if bits < 0 || ones < prefix.Bits() || ones-prefix.Bits() < 63 && count > 1<<(ones-prefix.Bits()) {
		return nil, invalid("Template error: Fn::Cidr: %s does not hold %d blocks of %d bits", prefix, count, bits)
	}
	at := new(big.Int).SetBytes(prefix.Addr().AsSlice())
	step := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	out := []any{}
	for range count {
		addr, ok := netip.AddrFromSlice(at.FillBytes(make([]byte, length/8)))
		if !ok {
			return nil, invalid(cidrShape)
		}
		out = append(out, netip.PrefixFrom(addr, ones).String())
		at.Add(at, step)
	}
	return out, nil
}
