/** Tables for people on a terminal, and the numbers in them. */

export interface Column<T> {
  title: string
  /** Numbers stand to the right. */
  right?: boolean
  text(row: T): string
}

/** Lines with a heading; columns two spaces apart. */
export function formatTable<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => plain(text(row)))),
  ]
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => [...line[at]!].length)))
  return cells
    .map((line) => {
      const padded = line.map((cell, at) => {
        const space = ' '.repeat(widths[at]! - [...cell].length)
        return columns[at]!.right ? space + cell : cell + space
      })
      return `${padded.join('  ').trimEnd()}\n`
    })
    .join('')
}

/** Names may come from anywhere: nothing in them may steer the terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1.23 GiB`. */
export function formatSize(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const text = unit === 0 || value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
  return `${text} ${UNITS[unit]}`
}

/** `12.5 %`; a dash where there is no whole. */
export function formatShare(part: number, whole: number): string {
  return whole > 0 ? `${(Math.round((1000 * part) / whole) / 10).toFixed(1)} %` : '-'
}
