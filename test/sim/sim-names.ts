/** Names of the simulated disk: directories and files, and the changes that no directory sync has made durable yet. */
import { dirname, normalize } from 'node:path'
import type { Random } from '../../src/base/random.ts'
import type { SimFile } from './sim-file.ts'

export type SimNode = SimFile | 'directory'

/** The node gets the name `add`, loses the name `remove`, or, renamed, both at once. */
interface NameChange {
  node: SimNode
  remove: string | undefined
  add: string | undefined
}

function apply(names: Map<string, SimNode>, { node, remove, add }: NameChange): void {
  if (remove !== undefined && names.get(remove) === node) names.delete(remove)
  if (add !== undefined) names.set(add, node)
}

/** A sync of either directory makes the change durable. */
function concerns({ remove, add }: NameChange, directory: string): boolean {
  return [remove, add].some((path) => path !== undefined && dirname(path) === directory)
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
    this.#change({ node, remove: undefined, add: path })
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
    this.#change({ node, remove: from, add: to })
  }

  remove(path: string): void {
    if (!this.current.has(path)) return
    const node = this.file(path, 'rm')
    this.#change({ node, remove: path, add: undefined })
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
      if (concerns(change, path)) apply(this.#durable, change)
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
    for (const change of this.#pending.slice(0, count)) apply(names, change)
    return names
  }

  /** The same names with the same changes pending, over copies of the files. */
  copy(copyOf: (file: SimFile) => SimFile): SimNames {
    const copies = new Map<SimFile, SimFile>()
    const nodeOf = (node: SimNode): SimNode => {
      if (node === 'directory') return node
      const copy = copies.get(node) ?? copyOf(node)
      copies.set(node, copy)
      return copy
    }
    const mapOf = (names: Map<string, SimNode>) =>
      new Map([...names].map(([path, node]) => [path, nodeOf(node)]))
    const copy = new SimNames()
    copy.current = mapOf(this.current)
    copy.#durable = mapOf(this.#durable)
    copy.#pending = this.#pending.map((change) => ({ ...change, node: nodeOf(change.node) }))
    return copy
  }

  /** Starts from these names, all durable. */
  adopt(names: Map<string, SimNode>): void {
    this.current = names
    this.#durable = new Map(names)
    this.#pending = []
  }

  #change(change: NameChange): void {
    apply(this.current, change)
    this.#pending.push(change)
  }
}
