using System.Runtime.Versioning;
using KvmSwitch.Agent.Windows.Session;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>The tray of one session: icon, hotkeys, and the connection to the service, until the session ends.</summary>
[SupportedOSPlatform("windows")]
internal static class TrayProgram
{
    // Local\ is the session's own namespace: each session has a tray, and one alone.
    private const string OneOnly = @"Local\KvmSwitch.Tray";

    public static bool RunsInThisSession
    {
        get
        {
            if (!Mutex.TryOpenExisting(OneOnly, out var mutex))
                return false;
            mutex.Dispose();
            return true;
        }
    }

    /// <summary>Returns when the session ends, and at once where a tray runs already.</summary>
    /// <param name="language">A two-letter code; null for that of Windows.</param>
    public static async Task RunAsync(string? language, ServiceEdges edges)
    {
        // The program is one for consoles as well; a tray has none.
        _ = TrayNative.FreeConsole();
        using var alone = new Mutex(initiallyOwned: false, OneOnly, out var isFirst);
        if (!isFirst)
            return;
        var texts = Texts.Load(language ?? Texts.LanguageOf(TrayNative.GetUserDefaultUILanguage()));
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() => Run(texts, edges, over)) { Name = "tray" };
        thread.Start();
        await over.Task;
    }

    private static void Run(Texts texts, ServiceEdges edges, TaskCompletionSource over)
    {
        try
        {
            using var tray = new TrayUi(texts, edges);
            tray.Run();
            over.SetResult();
        }
#pragma warning disable CA1031 // It goes to who waits.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            over.SetException(failure);
        }
    }
}
