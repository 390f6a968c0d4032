using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Safe removal (CM_Request_Device_EjectW): Windows asks everybody who uses the device, writes back, and stops it.</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe class Ejector : IEjector
{
    private const int Success = 0;
    private const int RemoveVetoed = 0x17;
    private const int NoSuchNode = 0x0d;
    private const int LongestName = 260;

    public string? Eject(string key)
    {
        // Gone already: nothing holds it back.
        if (NodeScan.Take().FirstOrDefault(one => NodeTree.KeyOf(one.Id) == key) is not { Id: var id })
            return null;
        var located = SetupNative.LocateNode(out var node, id, 0);
        if (located == NoSuchNode)
            return null;
        if (located != Success)
            return $"Windows does not find the device (CM_Locate_DevNodeW answers {located}).";
        var name = stackalloc char[LongestName];
        return SetupNative.RequestEject(node, out var veto, name, LongestName, 0) switch
        {
            Success => null,
            RemoveVetoed => Veto.Explain(veto, new string(name)),
            var error => $"Windows could not eject the device (CM_Request_Device_EjectW answers {error}).",
        };
    }
}
