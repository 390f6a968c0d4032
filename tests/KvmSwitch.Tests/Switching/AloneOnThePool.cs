using Xunit;

namespace KvmSwitch.Tests.Switching;

/// <summary>Fake time may only pass when nothing is left to run: these tests want the thread pool for themselves.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneOnThePool
{
    public const string Name = "switching";
}
