using System.Collections.Immutable;
using KvmSwitch.Linux;

namespace KvmSwitch.Tests.Block;

/// <summary>A message bus on which one function answers all calls.</summary>
internal sealed class FakeBus(Func<MethodCall, Task> answer) : IMessageBus
{
    public List<MethodCall> Calls { get; } = [];

    public bool IsDisposed { get; private set; }

    public async Task<ImmutableArray<BusValue>> CallMethodAsync(MethodCall call, CancellationToken cancellationToken)
    {
        Calls.Add(call);
        await answer(call).WaitAsync(cancellationToken);
        return [];
    }

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }
}
