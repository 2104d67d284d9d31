import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.events.S3Event;

public class ImageProcessor implements RequestHandler<S3Event, Void> {
    public Void handleRequest(S3Event s3Event, Context context) {
        String bucket = s3Event.getRecords().get(0).getS3().getBucket().getName();
        String key = s3Event.getRecords().get(0).getS3().getObject().getKey();
        System.out.println("New image " + key + " in " + bucket);
        return null;
    }
}
