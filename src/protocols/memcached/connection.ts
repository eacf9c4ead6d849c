/**
 * One connection: commands are begun as they come, many at a time, and answered in their order. The store keeps changes of
 * one key in order; what concerns all keys waits for what was begun before, and lets nothing begin meanwhile.
 */
import type { Socket } from 'node:net'
import { MEMCACHED_UNREAD_BYTES_MAX } from '../../base/limits.ts'
import { DirectWriter } from '../../net/direct-writer.ts'
import type { AnswerBuffer } from './answer-buffer.ts'
import { type Commands, END, KEY_BYTES_MAX, type KeyLine, STORAGE, unsigned } from './commands.ts'
import { type Command, Parser, type PlainSet } from './parser.ts'
import { type Turn, Turns } from './turns.ts'

export interface ConnectionOptions {
  socket: Socket
  /** Empty whenever a connection is left. */
  answers: AnswerBuffer
  commands: Commands
  valueBytesMax: number
  /** Room for a value that comes in; false: there is none. */
  reserve: (bytes: number) => boolean
  release: (bytes: number) => void
}

/** As many are written in one go as one packet may bring, and those of a client that does not wait. */
const SETS_TOGETHER_MAX = 1_024

export class MemcachedConnection {
  readonly #options: ConnectionOptions
  readonly #parser: Parser
  readonly #writer: DirectWriter
  readonly #turns: Turns
  #reserved = 0
  #isAlone = false
  /** It waits for all before it. */
  #lone: Command | undefined
  /** Some of its keys are not asked for yet. */
  #line: KeyLine | undefined
  /** The client sends no more; what it sent is answered. */
  #hasEnded = false
  /** Nothing more is begun. */
  #isEnding = false
  #willFlush = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    const { socket, commands, valueBytesMax } = options
    this.#parser = new Parser((words) => this.#dataOf(words), { keyBytesMax: KEY_BYTES_MAX, valueBytesMax })
    this.#turns = new Turns(valueBytesMax)
    this.#writer = new DirectWriter(socket, () => this.#pump())
    commands.count('total_connections')
    socket.on('end', () => {
      this.#hasEnded = true
      this.#pump()
    })
    socket.once('close', () => {
      this.#isEnding = true
      this.#line = undefined
      options.release(this.#reserved)
      this.#reserved = 0
    })
  }

  /** Bytes from the client, which are the caller's again when this returns. */
  take(bytes: Buffer): void {
    // What comes behind the end is dropped, so that the close does not reset the connection under the answers.
    if (this.#isEnding) return
    this.#options.commands.count('bytes_read', bytes.length)
    this.#parser.add(bytes)
    this.#pump()
    this.#parser.keepRest()
  }

  /** Answers what was begun, and closes. */
  end(): void {
    this.#isEnding = true
    this.#flush()
  }

  /** The block behind a line of a storage command, whatever else is wrong with that line. */
  #dataOf(words: readonly string[]): { sizeBytes: number; keep: boolean } | undefined {
    if (!STORAGE.has(words[0] ?? '')) return undefined
    const sizeBytes = unsigned(words[4] ?? '', Number.MAX_SAFE_INTEGER - 2)
    if (sizeBytes === undefined) return undefined
    const fits = sizeBytes <= this.#options.valueBytesMax
    const keep = fits && this.#options.reserve(roomFor(sizeBytes))
    if (keep) this.#reserved += roomFor(sizeBytes)
    return { sizeBytes, keep }
  }

  #pump(): void {
    const { socket } = this.#options
    this.#flush()
    while (!this.#isFull() && this.#beginWaiting()) this.#flush()
    if (this.#isFull()) socket.pause()
    else {
      if (this.#hasEnded) this.#isEnding = true
      if (socket.isPaused()) socket.resume()
    }
    this.#flush()
  }

  /** Begins the commands that are there, as many as may be under way. False: there are no more. */
  #beginWaiting(): boolean {
    while (this.#line !== undefined || !(this.#isEnding || this.#parser.isEmpty)) {
      if (this.#isFull()) return true
      if (this.#line !== undefined) {
        this.#beginKey(this.#line)
        continue
      }
      const key = this.#parser.nextPlainGet()
      if (key !== undefined) {
        if (!this.#answersAtOnce(key))
          this.#begin({ words: ['get', key.toString('latin1')], data: undefined }, false)
        continue
      }
      const behind = this.#beginSets()
      if (behind === 'more') return false
      if (behind === 'sets' || this.#isFull()) continue
      if (this.#parser.isEmpty) return false
      const command = this.#parser.next()
      if (command === undefined) return false
      if (command === 'line' || command === 'binary') {
        const why = command === 'line' ? 'line too long' : 'only the text protocol is spoken here'
        this.#take(this.#turns.begin(), Buffer.from(`CLIENT_ERROR ${why}\r\n`), nothing)
        this.#isEnding = true
      } else if (command.words[0] === 'quit') this.#isEnding = true
      else if (command.words[0] === 'flush_all') {
        this.#isAlone = true
        this.#lone = command
        this.#beginLone()
      } else {
        this.#line = this.#options.commands.keyLine(command)
        if (this.#line === undefined) this.#begin(command, false)
      }
    }
    return false
  }

  /** False: not from memory, or not in its turn. */
  #answersAtOnce(key: Buffer): boolean {
    if (this.#turns.length > 0) return false
    const { commands, answers } = this.#options
    if (commands.answerGet(key, answers)) return true
    if (answers.isEmpty) return false
    this.#send()
    return commands.answerGet(key, answers)
  }

  /** Begins the plain `set`s that come next, together. Gives what is behind them; `more`: one that is not there as a whole. */
  #beginSets(): 'sets' | 'more' | 'other' {
    const sets: PlainSet[] = []
    let behind: 'sets' | 'more' | 'other' = 'sets'
    while (behind === 'sets' && sets.length < SETS_TOGETHER_MAX) {
      const next = this.#parser.nextPlainSet()
      if (typeof next === 'object') sets.push(next)
      else behind = next ?? 'other'
    }
    if (sets.length === 0) return behind
    const turn = this.#turns.begin()
    this.#options.commands.runSets(sets, (answer) => this.#answer(turn, answer))
    return behind
  }

  #beginLone(): void {
    const command = this.#lone
    if (command === undefined || !this.#turns.isAnswered) return
    this.#lone = undefined
    this.#begin(command, true)
  }

  #begin(command: Command, isAlone: boolean): void {
    const { commands, release } = this.#options
    const { words, data } = command
    const isKept = data !== undefined && data !== 'refused'
    const kept = isKept ? roomFor(unsigned(words[4]!, Number.MAX_SAFE_INTEGER)!) : 0
    const done = () => {
      const freed = Math.min(kept, this.#reserved)
      this.#reserved -= freed
      release(freed)
    }
    this.#isAlone = isAlone
    const turn = this.#turns.begin()
    let heldBytes: number | undefined
    const answer = commands.run(command, (bytes) => {
      heldBytes = bytes
    })
    if (answer instanceof Promise) this.#turns.waits(turn, heldBytes)
    this.#take(turn, answer, () => {
      if (isAlone) this.#isAlone = false
      done()
    })
  }

  /** The next key of a line, or what stands behind all of them. */
  #beginKey(line: KeyLine): void {
    const turn = this.#turns.begin(line)
    if (line.hasFailed || line.next === line.keys.length) {
      this.#line = undefined
      return this.#take(turn, END, nothing)
    }
    let heldBytes: number | undefined
    const answer = this.#options.commands.runNext(line, {
      holds: (bytes) => {
        heldBytes = bytes
      },
      failed: () => {
        turn.isFailure = true
      },
    })
    if (answer instanceof Promise) this.#turns.waits(turn, heldBytes)
    this.#take(turn, answer, nothing)
  }

  /** The answer of a turn; calls `done` when it is there. */
  #take(turn: Turn, answer: Buffer | Promise<Buffer>, done: () => void): void {
    if (!(answer instanceof Promise)) {
      done()
      this.#turns.answer(turn, answer)
      // Others that come with it leave together.
      if (this.#turns.length === 1) this.#putReady()
      return
    }
    void answer.then((bytes) => {
      done()
      this.#answer(turn, bytes)
    })
  }

  #answer(turn: Turn, bytes: Buffer): void {
    this.#turns.answer(turn, bytes)
    this.#beginLone()
    if (this.#turns.length === 1) this.#pump()
    else this.#pumpSoon()
  }

  /** Once for all answers that are there at the same time, as those of one sync are. */
  #pumpSoon(): void {
    if (this.#willFlush) return
    this.#willFlush = true
    queueMicrotask(() => {
      this.#willFlush = false
      this.#pump()
    })
  }

  #isFull(): boolean {
    return this.#isAlone || this.#turns.isFull || this.#writer.waitingBytes > MEMCACHED_UNREAD_BYTES_MAX
  }

  /** Sends the answers whose turn it is, in one write where they are not long. */
  #flush(): void {
    const { socket } = this.#options
    this.#putReady()
    this.#send()
    const isDone = this.#isEnding && this.#line === undefined && this.#turns.length === 0
    if (!isDone || socket.writableEnded) return
    socket.end()
    socket.resume()
  }

  #putReady(): void {
    for (const answer of this.#turns.take()) this.#put(answer)
  }

  /** The next answer. */
  #put(answer: Buffer): void {
    const { answers, commands, socket } = this.#options
    if (answers.add(answer)) return
    this.#send()
    if (answers.add(answer)) return
    commands.count('bytes_written', answer.length)
    if (socket.writable) socket.write(answer)
  }

  #send(): void {
    const { answers, commands } = this.#options
    if (answers.isEmpty) return
    const bytes = answers.take()
    commands.count('bytes_written', bytes.length)
    if (!this.#writer.write(bytes)) answers.leaveMemory()
  }
}

function nothing(): void {}

/** The budget counts in KiB: what is taken in one piece is given back in another. */
function roomFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 1024) * 1024
}
