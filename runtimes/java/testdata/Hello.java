package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Map;

/** One handler of each kind. */
public class Hello implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
        context.getLogger().log("for " + event.get("name"));
        if (event.containsKey("fail")) {
            throw new IllegalStateException("no", new RuntimeException("why"));
        }
        return Map.of("hello", event.get("name"));
    }

    /** Person is a plain object in both directions. */
    public static class Person {
        private String name;
        private int age;

        public String getName() { return name; }
        public void setName(String name) { this.name = name; }
        public int getAge() { return age; }
        public void setAge(int age) { this.age = age; }
    }

    public Person older(Person p) {
        p.setAge(p.getAge() + 1);
        return p;
    }

    public String context(Object event, Context c) {
        return String.join(" ", c.getAwsRequestId(), c.getFunctionName(), c.getFunctionVersion(), c.getInvokedFunctionArn(), "" + c.getMemoryLimitInMB(),
                c.getLogGroupName(), c.getLogStreamName(), "" + (c.getRemainingTimeInMillis() > 1000), System.getenv("_X_AMZN_TRACE_ID"),
                System.getProperty("com.amazonaws.xray.traceHeader"), System.getProperty("user.dir"));
    }

    /** Echo is handed the bytes. */
    public static class Echo implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            in.transferTo(out);
        }
    }

    /** Broken fails when it is made. */
    public static class Broken extends Hello {
        public Broken() {
            throw new IllegalArgumentException("at start");
        }
    }
}
