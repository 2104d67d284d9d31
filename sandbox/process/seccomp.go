package process

import (
	"encoding/binary"
	"fmt"
	"slices"

	bpfseccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	profile "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refused are system calls that moby's default profile allows and a function has no use for: looking into other
// processes, and lists of mounts with the host's paths in them.
var refused = []string{"ptrace", "process_vm_readv", "process_vm_writev", "statmount", "listmount", "open_by_handle_at", "name_to_handle_at"}

// seccompFilter compiles moby's default profile, less refused, for a process without capabilities. The result is an
// array of struct sock_filter.
func seccompFilter() ([]byte, error) {
	oci, err := profile.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	machine, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	policy := bpfseccomp.Policy{DefaultAction: bpfseccomp.ActionErrno} // the assembler makes it EPERM
	if policy.Syscalls, err = seccompGroups(oci.Syscalls, machine); err != nil {
		return nil, err
	}
	program, err := policy.Assemble()
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	var out []byte
	for _, i := range raw {
		out = binary.LittleEndian.AppendUint16(out, i.Op)
		out = append(out, i.Jt, i.Jf)
		out = binary.LittleEndian.AppendUint32(out, i.K)
	}
	return out, nil
}

// seccompGroups turns OCI rules into the assembler's: first the plain calls, which are nearly all, then those that
// depend on arguments. Names that the assembler or the machine does not know stay refused.
func seccompGroups(rules []specs.LinuxSyscall, machine *arch.Info) ([]bpfseccomp.SyscallGroup, error) {
	var plain, conditional []bpfseccomp.SyscallGroup
	seen := make(map[string]bool)
	for _, rule := range rules {
		action, err := seccompAction(rule)
		if err != nil {
			return nil, err
		}
		var conditions bpfseccomp.ArgumentConditions
		for _, a := range rule.Args {
			c, err := seccompCondition(a)
			if err != nil {
				return nil, err
			}
			conditions = append(conditions, c)
		}
		g := bpfseccomp.SyscallGroup{Action: action}
		for _, name := range rule.Names {
			if _, known := machine.SyscallNames[name]; !known || slices.Contains(refused, name) {
				continue
			}
			if len(conditions) > 0 {
				g.NamesWithCondtions = append(g.NamesWithCondtions, bpfseccomp.NameWithConditions{Name: name, Conditions: conditions})
			} else if !seen[name] {
				seen[name] = true
				g.Names = append(g.Names, name)
			}
		}
		if len(conditions) > 0 {
			conditional = append(conditional, g)
		} else {
			plain = append(plain, g)
		}
	}
	return append(plain, conditional...), nil
}

func seccompAction(rule specs.LinuxSyscall) (bpfseccomp.Action, error) {
	switch rule.Action {
	case specs.ActAllow:
		return bpfseccomp.ActionAllow, nil
	case specs.ActErrno:
		errno := uint(unix.EPERM)
		if rule.ErrnoRet != nil {
			errno = *rule.ErrnoRet
		}
		return bpfseccomp.Action(unix.SECCOMP_RET_ERRNO | errno), nil
	}
	return 0, fmt.Errorf("seccomp: unknown action %s for %v", rule.Action, rule.Names)
}

func seccompCondition(a specs.LinuxSeccompArg) (bpfseccomp.Condition, error) {
	c := bpfseccomp.Condition{Argument: uint32(a.Index), Value: a.Value}
	switch {
	case a.Op == specs.OpEqualTo:
		c.Operation = bpfseccomp.Equal
	case a.Op == specs.OpNotEqual:
		c.Operation = bpfseccomp.NotEqual
	case a.Op == specs.OpMaskedEqual && a.ValueTwo == 0:
		c.Operation = bpfseccomp.BitsNotSet
	case a.Op == specs.OpLessThan:
		c.Operation = bpfseccomp.LessThan
	case a.Op == specs.OpGreaterThan:
		c.Operation = bpfseccomp.GreaterThan
	default:
		return c, fmt.Errorf("seccomp: unknown comparison %s with %d", a.Op, a.ValueTwo)
	}
	return c, nil
}
