/** Names of the simulated disk: directories and files, and the changes that no directory sync has made durable yet. */
import { dirname, normalize } from 'node:path'
import type { Random } from '../../src/base/random.ts'
import type { SimFile } from './sim-file.ts'

export type SimNode = SimFile | 'directory'

interface NameChange {
  /** Directories of which a sync makes it durable. */
  directories: string[]
  apply(names: Map<string, SimNode>): void
}

export function cleanPath(path: string): string {
  const normal = normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

export function errno(code: string, call: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated, ${call} '${path}'`), { code, syscall: call, path })
}

export class SimNames {
  current = new Map<string, SimNode>([['/', 'directory']])
  #durable = new Map<string, SimNode>([['/', 'directory']])
  #pending: NameChange[] = []

  get unsyncedCount(): number {
    return this.#pending.length
  }

  file(path: string, call: string): SimFile {
    const node = this.current.get(path)
    if (node === undefined) throw errno('ENOENT', call, path)
    if (node === 'directory') throw errno('EISDIR', call, path)
    return node
  }

  add(path: string, node: SimNode, call: string): void {
    if (this.current.get(dirname(path)) !== 'directory') throw errno('ENOENT', call, path)
    this.#change([dirname(path)], (names) => names.set(path, node))
  }

  makeDirectories(path: string): void {
    if (this.current.get(path) === 'directory') return
    if (this.current.has(path)) throw errno('EEXIST', 'mkdir', path)
    this.makeDirectories(dirname(path))
    this.add(path, 'directory', 'mkdir')
  }

  rename(from: string, to: string): void {
    const node = this.file(from, 'rename')
    if (this.current.get(dirname(to)) !== 'directory') throw errno('ENOENT', 'rename', to)
    if (this.current.get(to) === 'directory') throw errno('EISDIR', 'rename', to)
    this.#change([...new Set([dirname(from), dirname(to)])], (names) => {
      if (names.get(from) === node) names.delete(from)
      names.set(to, node)
    })
  }

  remove(path: string): void {
    if (!this.current.has(path)) return
    const node = this.file(path, 'rm')
    this.#change([dirname(path)], (names) => {
      if (names.get(path) === node) names.delete(path)
    })
  }

  list(path: string): string[] {
    if (this.current.get(path) !== 'directory') throw errno('ENOENT', 'scandir', path)
    const prefix = path === '/' ? '/' : `${path}/`
    const names = [...this.current.keys()].filter((name) => name !== '/' && name.startsWith(prefix))
    return names.map((name) => name.slice(prefix.length)).filter((name) => !name.includes('/'))
  }

  sync(path: string): void {
    if (this.current.get(path) !== 'directory') throw errno('ENOENT', 'fsync', path)
    const rest: NameChange[] = []
    for (const change of this.#pending) {
      if (change.directories.includes(path)) change.apply(this.#durable)
      else rest.push(change)
    }
    this.#pending = rest
  }

  /** The names after a power loss: the durable ones and, in order, none, all or some of the changes since. */
  crash(random: Random): Map<string, SimNode> {
    const names = new Map(this.#durable)
    const choice = random.below(3)
    const count =
      choice === 0 ? 0 : choice === 1 ? this.#pending.length : random.below(this.#pending.length + 1)
    for (const change of this.#pending.slice(0, count)) change.apply(names)
    return names
  }

  /** Starts from these names, all durable. */
  adopt(names: Map<string, SimNode>): void {
    this.current = names
    this.#durable = new Map(names)
    this.#pending = []
  }

  #change(directories: string[], apply: NameChange['apply']): void {
    apply(this.current)
    this.#pending.push({ directories, apply })
  }
}
