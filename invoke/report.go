package invoke

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// A report is what the platform writes to a function's log about one invocation.
type report struct {
	fn        *Function
	requestID string
	duration  time.Duration
	init      time.Duration // 0 on a warm start
	memory    func() int64  // most bytes used; asked when the report is written
	out       outcome
}

func (r *report) start() string {
	if r.fn.JSONLogs {
		return platformRecord("platform.start", map[string]any{"requestId": r.requestID, "version": r.fn.Version})
	}
	return "START RequestId: " + r.requestID + " Version: " + r.fn.Version + "\n"
}

// end is END and REPORT, each a record.
func (r *report) end() []string {
	if r.fn.JSONLogs {
		return []string{r.jsonReport()}
	}
	b := make([]byte, 0, 200)
	b = append(b, "REPORT RequestId: "...)
	b = append(b, r.requestID...)
	b = append(b, "\tDuration: "...)
	b = appendMillis(b, r.duration)
	b = append(b, " ms\tBilled Duration: "...)
	b = strconv.AppendInt(b, billed(r.duration), 10)
	b = append(b, " ms\tMemory Size: "...)
	b = strconv.AppendInt(b, int64(r.fn.Memory), 10)
	b = append(b, " MB\tMax Memory Used: "...)
	b = strconv.AppendInt(b, r.usedMB(), 10)
	b = append(b, " MB\t"...)
	if r.init > 0 {
		b = append(b, "Init Duration: "...)
		b = appendMillis(b, r.init)
		b = append(b, " ms\t"...)
	}
	if r.out.status != "" {
		b = append(b, "Status: "...)
		b = append(b, r.out.status...)
		if r.out.errorType != "" {
			b = append(b, "\tError Type: "...)
			b = append(b, r.out.errorType...)
		}
	}
	b = append(b, '\n')
	return []string{"END RequestId: " + r.requestID + "\n", string(b)}
}

func (r *report) jsonReport() string {
	metrics := map[string]any{
		"durationMs":       millis(r.duration),
		"billedDurationMs": billed(r.duration),
		"memorySizeMB":     r.fn.Memory,
		"maxMemoryUsedMB":  r.usedMB(),
	}
	if r.init > 0 {
		metrics["initDurationMs"] = millis(r.init)
	}
	status := r.out.status
	if status == "" {
		status = "success"
		if r.out.failed {
			status = "error"
		}
	}
	record := map[string]any{"requestId": r.requestID, "metrics": metrics, "status": status}
	if r.out.errorType != "" {
		record["errorType"] = r.out.errorType
	}
	return platformRecord("platform.report", record)
}

func (r *report) usedMB() int64 {
	return min((r.memory()+1<<20-1)>>20, int64(r.fn.Memory))
}

// initStart is the first line of a sandbox.
func initStart(fn *Function, kind initType, runtime string) string {
	version, arn := runtimeVersion(runtime), RuntimeVersionARN(fn.Region, runtime)
	if fn.JSONLogs {
		return platformRecord("platform.initStart", map[string]any{"initializationType": kind, "phase": "init",
			"runtimeVersion": version, "runtimeVersionArn": arn, "functionName": fn.Name, "functionVersion": fn.Version})
	}
	return "INIT_START Runtime Version: " + version + "\tRuntime Version ARN: " + arn + "\n"
}

// initReport says how a start failed; one that succeeds is told by the REPORT line.
func initReport(fn *Function, kind initType, took time.Duration, status, errorType string) string {
	if fn.JSONLogs {
		record := map[string]any{"initializationType": kind, "phase": "init", "status": status,
			"metrics": map[string]any{"durationMs": millis(took)}}
		if errorType != "" {
			record["errorType"] = errorType
		}
		return platformRecord("platform.initReport", record)
	}
	line := string(appendMillis([]byte("INIT_REPORT Init Duration: "), took)) + " ms\tPhase: init\tStatus: " + status
	if errorType != "" {
		line += "\tError Type: " + errorType
	}
	return line + "\n"
}

func platformRecord(kind string, record map[string]any) string {
	b, _ := json.Marshal(struct {
		Time   string         `json:"time"`
		Type   string         `json:"type"`
		Record map[string]any `json:"record"`
	}{time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), kind, record})
	return string(b) + "\n"
}

func millis(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }

func appendMillis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/1e6, 'f', 2, 64)
}

func billed(d time.Duration) int64 { return max(1, int64((d+time.Millisecond-1)/time.Millisecond)) }
