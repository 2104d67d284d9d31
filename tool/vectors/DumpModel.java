import software.amazon.smithy.model.Model;
import software.amazon.smithy.model.node.Node;
import software.amazon.smithy.model.shapes.ModelSerializer;
import software.amazon.smithy.model.transform.ModelTransformer;

/** Prints the JSON form of all Smithy models on the class path, with mixins written out. */
public final class DumpModel {
    public static void main(String[] args) {
        Model model = Model.assembler().discoverModels().assemble().unwrap();
        model = ModelTransformer.create().flattenAndRemoveMixins(model);
        System.out.print(Node.printJson(ModelSerializer.builder().build().serialize(model)));
    }
}
