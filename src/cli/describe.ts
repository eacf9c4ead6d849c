/** Settings in words, for `--help` and for `docs/configuration.md`. */
import type { Setting } from './setting.ts'

/** A setting's default as text; empty where there is none. */
export function describeFallback(setting: Setting<unknown>, command: string | undefined): string {
  const own = command === undefined ? undefined : setting.fallbackOf[command]
  if (own !== undefined) return setting.format(own)
  if (setting.fallbackDoc !== undefined) return setting.fallbackDoc
  return typeof setting.fallback === 'function' ? '' : setting.format(setting.fallback)
}
