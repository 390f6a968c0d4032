using System.Runtime.Versioning;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>Shows a menu and waits for the choice.</summary>
[SupportedOSPlatform("windows")]
internal static class PopupMenu
{
    /// <summary>Returns what was chosen; null when nothing was. Runs a message loop of its own meanwhile.</summary>
    /// <param name="window">Gets the keyboard: without that the menu would neither take keys nor close by itself (TrackPopupMenu's documentation).</param>
    public static TrayAction? Choose(IReadOnlyList<MenuEntry> entries, nint window, int x, int y)
    {
        var actions = new List<TrayAction>();
        var menu = Build(entries, actions);
        try
        {
            _ = TrayNative.SetMenuDefaultItem(menu, 0, byPosition: 1);
            _ = TrayNative.SetForegroundWindow(window);
            var choice = TrayNative.TrackPopupMenuEx(menu, TrayNative.ReturnChoice, x, y, window, 0);
            _ = TrayNative.PostMessage(window, TrayNative.Null, 0, 0);
            return choice > 0 && choice <= actions.Count ? actions[choice - 1] : null;
        }
        finally
        {
            _ = TrayNative.DestroyMenu(menu);
        }
    }

    private static nint Build(IReadOnlyList<MenuEntry> entries, List<TrayAction> actions)
    {
        var menu = TrayNative.CreatePopupMenu();
        foreach (var entry in entries)
            Append(menu, entry, actions);
        return menu;
    }

    private static void Append(nint menu, MenuEntry entry, List<TrayAction> actions)
    {
        if (entry.Text.Length == 0)
        {
            _ = TrayNative.AppendMenu(menu, TrayNative.Separator, 0, null);
            return;
        }

        // A menu shows "&" as the mark of a key; names may have one of their own.
        var text = entry.Text.Replace("&", "&&", StringComparison.Ordinal);
        var flags = (entry.Enabled ? 0 : TrayNative.Disabled) | (entry.Checked ? TrayNative.Checked : 0);
        if (entry.Entries is { } inner)
        {
            _ = TrayNative.AppendMenu(menu, flags | TrayNative.Popup, Build(inner, actions), text);
            return;
        }

        if (entry.Action is not null)
            actions.Add(entry.Action);
        _ = TrayNative.AppendMenu(menu, flags, entry.Action is null ? 0 : actions.Count, text);
    }
}
