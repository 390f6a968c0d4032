using System.IO.Pipes;
using System.Text;

namespace KvmSwitch.PipeBridge;

/// <summary>Sessions at the service's pipe that no tray would have. Each should be ended by the service.</summary>
internal static class Abuse
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Prints a line for each: <c>garbage ended</c>, or <c>garbage goes on</c>.</summary>
    public static async Task RunAsync(string pipe)
    {
        var asked = Enumerable.Range(1, 2000).Select(id => $$"""{"id":{{id}},"verb":"Request","targets":["nonsense"],"gesture":"cli"}""" + "\n");
        (string Name, byte[] Bytes)[] sessions =
        [
            ("garbage", [.. Enumerable.Range(0, 4096).Select(i => (byte)(i * 37)), (byte)'\n']),
            ("oversized", Encoding.ASCII.GetBytes(new string('x', 4 << 20))),
            ("flood", Encoding.ASCII.GetBytes(string.Concat(asked))),
        ];
        foreach (var (name, bytes) in sessions) Console.WriteLine($"{name} {(await IsEndedAsync(pipe, bytes) ? "ended" : "goes on")}");
    }

    private static async Task<bool> IsEndedAsync(string name, byte[] bytes)
    {
        using var late = new CancellationTokenSource(Patience);
        await using var pipe = new NamedPipeClientStream(".", name, PipeDirection.InOut, PipeOptions.Asynchronous);
        await pipe.ConnectAsync(late.Token);
        try
        {
            await Task.WhenAll(pipe.WriteAsync(bytes, late.Token).AsTask(), ReadToEndAsync(pipe, late.Token));
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static async Task ReadToEndAsync(NamedPipeClientStream pipe, CancellationToken late)
    {
        var buffer = new byte[4096];
        while (await pipe.ReadAsync(buffer, late) > 0)
        {
        }
    }
}
