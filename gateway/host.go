package gateway

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"lambent/service"
)

// hosts reads host names. What stands behind the labels that matter does not: the cloud's own domain,
// localhost, AWS's names through a proxy, and an operator's wildcard domain all work.
type hosts struct {
	domains   []string // suffixes known not to hold a region, longest first
	services  map[string]*room
	endpoints map[string]*service.Endpoint
}

// An address is what a host name says of a request.
type address struct {
	room     *room             // service that the name begins with: sts.us-east-1.amazonaws.com
	bucket   string            // S3 bucket: BUCKET.s3.us-east-1.amazonaws.com
	endpoint *service.Endpoint // published thing: ID.execute-api.us-east-1.amazonaws.com
	id       string
	region   string // "" where the name has none
}

func newHosts(domain string, d directory) hosts {
	h := hosts{services: d.byLabel, endpoints: map[string]*service.Endpoint{}}
	for _, e := range d.endpoints {
		h.endpoints[e.Label] = e
	}
	h.domains = []string{"amazonaws.com.cn", "amazonaws.com", "api.aws", "localhost"}
	if name := hostname(domain); name != "" && !slices.Contains(h.domains, name) {
		h.domains = append(h.domains, name)
	}
	slices.SortFunc(h.domains, func(a, b string) int { return len(b) - len(a) })
	return h
}

// hostname returns a Host header's name in lower case, without port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (h *hosts) read(host string) (a address) {
	name := hostname(host)
	if name == "localhost" || name == "" {
		return a
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return a
	}
	for _, d := range h.domains {
		if name == d {
			return a
		}
		if rest, ok := strings.CutSuffix(name, "."+d); ok {
			name = rest
			break
		}
	}
	labels := strings.Split(name, ".")
	if len(labels) > 1 {
		if e := h.endpoints[labels[1]]; e != nil && labels[0] != "" {
			return address{endpoint: e, id: labels[0], region: regionAt(labels, 2)}
		}
	}
	for i := len(labels) - 1; i >= 0; i-- {
		// "s3-us-west-2" is the old way to name a region; a bucket's own label may look like it.
		region, old := strings.CutPrefix(labels[i], "s3-")
		if labels[i] != "s3" && !(old && strings.Count(region, "-") >= 2) {
			continue
		}
		if region == "s3" {
			region = regionAt(labels, i+1)
		}
		return address{room: h.services["s3"], bucket: strings.Join(labels[:i], "."), region: region}
	}
	for n := 1; n <= min(2, len(labels)); n++ {
		if r := h.services[strings.Join(labels[:n], ".")]; r != nil {
			return address{room: r, region: regionAt(labels, n)}
		}
	}
	return a
}

func regionAt(labels []string, i int) string {
	if i < len(labels) && labels[i] == "dualstack" {
		i++
	}
	if i < len(labels) {
		return labels[i]
	}
	return ""
}
