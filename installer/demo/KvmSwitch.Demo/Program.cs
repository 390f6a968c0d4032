using KvmSwitch.Demo;
using KvmSwitch.Demo.Harness;

if (args is not ["--programs", var programs, "--guest", var guest, ..] || args[4..] is not ([] or ["--stay"]))
{
    await Console.Error.WriteLineAsync("usage: KvmSwitch.Demo --programs DIRECTORY --guest DIRECTORY [--stay]; installer/try.sh calls it");
    return 2;
}

using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = true;
    interrupted.Cancel();
};

try
{
    await Tour.RunAsync(new(programs, guest), stay: args.Length > 4, interrupted.Token);
    return 0;
}
catch (Exception failure) when (failure is CommandFailedException or TimeoutException or GuestCommandFailedException or IOException or InvalidOperationException)
{
    await Console.Error.WriteLineAsync($"The demo did not work: {failure.Message}");
    return 1;
}
catch (OperationCanceledException)
{
    await Console.Error.WriteLineAsync("Interrupted; nothing is left running.");
    return 130;
}
