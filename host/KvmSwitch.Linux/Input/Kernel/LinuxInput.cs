using System.Collections.Immutable;

namespace KvmSwitch.Linux.Input;

/// <summary>The input of the real kernel.</summary>
public sealed class LinuxInput(KernelPaths paths) : IInputKernel
{
    private readonly InputInventory _inventory = new(paths);

    public ImmutableArray<InputNode> List() => _inventory.All();

    public IEvdevNode? Open(InputNode node) => EvdevNode.Open(node, Path.Combine(paths.Dev, "input", node.Event));

    public IVirtualInput Create(CloneSpec spec) => UinputClone.Make(spec, paths);
}
