import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.TrustManagerFactory;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.ContentStreamProvider;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.UploadPartResponse;

/**
 * Sends objects to S3 in every way in which the AWS SDK for Java v2 frames a body, and reads them back: Uploads BUCKET.
 * Endpoint, key and certificates come from the environment. It prints a line for each way.
 */
public final class Uploads {
    private final S3Client s3;
    private final String bucket;
    private final byte[] content = new byte[320_000]; // more than one chunk

    private Uploads(S3Client s3, String bucket) {
        this.s3 = s3;
        this.bucket = bucket;
        for (int i = 0; i < content.length; i++) {
            content[i] = (byte) i;
        }
    }

    public static void main(String[] args) throws Exception {
        URI endpoint = URI.create(System.getenv("AWS_ENDPOINT_URL"));
        UrlConnectionHttpClient.Builder http = UrlConnectionHttpClient.builder();
        if (endpoint.getScheme().equals("https")) {
            TrustManagerFactory trust = trust(System.getenv("AWS_CA_BUNDLE"));
            http.tlsTrustManagersProvider(trust::getTrustManagers);
        }
        for (boolean chunked : new boolean[] {true, false}) {
            try (S3Client s3 = S3Client.builder().endpointOverride(endpoint).forcePathStyle(true).httpClientBuilder(http)
                    .serviceConfiguration(c -> c.chunkedEncodingEnabled(chunked)).build()) {
                new Uploads(s3, args[0] + "-" + chunked).run();
            }
        }
        System.out.println("java ok");
    }

    private static TrustManagerFactory trust(String bundle) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(bundle)) {
            int n = 0;
            for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("ca" + n++, c);
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        return trust;
    }

    private void run() {
        s3.createBucket(b -> b.bucket(bucket));
        // CRC64NVME needs the SDK's native library.
        List<ChecksumAlgorithm> algorithms = new ArrayList<>(Arrays.asList(ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32_C,
                ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256));
        algorithms.add(0, null);
        for (ChecksumAlgorithm algorithm : algorithms) {
            put("bytes", algorithm, RequestBody.fromBytes(content));
            put("stream", algorithm, RequestBody.fromInputStream(new ByteArrayInputStream(content), content.length));
            put("provider", algorithm, RequestBody.fromContentProvider(
                    ContentStreamProvider.fromByteArray(content), content.length, "application/octet-stream"));
            multipart(algorithm);
        }
        refuse();
    }

    private void put(String kind, ChecksumAlgorithm algorithm, RequestBody body) {
        String key = "java/" + kind + "/" + algorithm;
        s3.putObject(r -> r.bucket(bucket).key(key).checksumAlgorithm(algorithm), body);
        check(key, content);
        System.out.println("put " + bucket + "/" + key);
    }

    /** Reads an object with its checksum, which the SDK holds against the bytes. */
    private void check(String key, byte[] want) {
        ResponseBytes<GetObjectResponse> got = s3.getObjectAsBytes(r -> r.bucket(bucket).key(key).checksumMode(ChecksumMode.ENABLED));
        if (!Arrays.equals(got.asByteArray(), want)) {
            throw new IllegalStateException(key + ": other bytes came back");
        }
    }

    private void multipart(ChecksumAlgorithm algorithm) {
        String key = "java/parts/" + algorithm;
        String id = s3.createMultipartUpload(r -> r.bucket(bucket).key(key).checksumAlgorithm(algorithm)).uploadId();
        byte[] whole = new byte[(5 << 20) + 1000];
        Arrays.fill(whole, (byte) 'a');
        byte[][] parts = {Arrays.copyOfRange(whole, 0, 5 << 20), Arrays.copyOfRange(whole, 5 << 20, whole.length)};
        List<CompletedPart> done = new ArrayList<>();
        for (int i = 0; i < parts.length; i++) {
            int number = i + 1;
            UploadPartResponse p = s3.uploadPart(r -> r.bucket(bucket).key(key).uploadId(id).partNumber(number).checksumAlgorithm(algorithm),
                    RequestBody.fromBytes(parts[i]));
            done.add(CompletedPart.builder().partNumber(number).eTag(p.eTag()).checksumCRC32(p.checksumCRC32()).checksumCRC32C(p.checksumCRC32C())
                    .checksumCRC64NVME(p.checksumCRC64NVME()).checksumSHA1(p.checksumSHA1()).checksumSHA256(p.checksumSHA256()).build());
        }
        s3.completeMultipartUpload(r -> r.bucket(bucket).key(key).uploadId(id).multipartUpload(m -> m.parts(done)));
        check(key, whole);
        System.out.println("put " + bucket + "/" + key);
    }

    /** Sends a checksum that is not the body's. */
    private void refuse() {
        try {
            s3.putObject(r -> r.bucket(bucket).key("wrong").checksumCRC32("AAAAAA=="), RequestBody.fromBytes(content));
        } catch (S3Exception e) {
            if (e.awsErrorDetails().errorCode().equals("BadDigest")) {
                return;
            }
            throw e;
        }
        throw new IllegalStateException("a wrong checksum was taken");
    }
}
