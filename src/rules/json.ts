import { ClientCertConfigError } from '../errors.js'
import { limits } from '../limits.js'

/** Where something stands in a text, counted from 1; undefined in a document that was written as a JavaScript value. */
export interface JsonPlace {
  readonly line: number
  readonly column: number
}

/** A JSON value that knows where it stands. */
export type JsonNode = { readonly at: JsonPlace | undefined } & (
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'other'; readonly value: number | boolean | null | undefined }
  | { readonly type: 'list'; readonly items: readonly JsonNode[] }
  | { readonly type: 'object'; readonly members: ReadonlyMap<string, JsonMember> }
)

export interface JsonMember {
  /** Where its name stands. */
  readonly at: JsonPlace | undefined
  readonly node: JsonNode
}

/**
 * Reads JSON (RFC 8259) and keeps the place of every value. A name that occurs twice in an object is refused: which of the two would count is
 * nobody's to guess. Throws {@link ClientCertConfigError}.
 *
 * @param where how the operator wrote it, for messages
 */
export function parseJson(where: string, text: string): JsonNode {
  const reader = new JsonReader(where, text)
  return reader.whole()
}

/** The same of a JavaScript value. Only own enumerable properties count, so that nothing inherited can say anything. */
export function jsonOf(where: string, value: unknown, depth = 0): JsonNode {
  if (depth > limits.documentDepth)
    throw new ClientCertConfigError(`${where}: is nested more than ${limits.documentDepth} deep`)
  const at = undefined
  if (typeof value === 'string') return { type: 'text', at, value }
  if (Array.isArray(value)) return { type: 'list', at, items: value.map((item) => jsonOf(where, item, depth + 1)) }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, member]): [string, JsonMember] => [
      name,
      { at, node: jsonOf(where, member, depth + 1) },
    ])
    return { type: 'object', at, members: new Map(members) }
  }
  return { type: 'other', at, value: value as undefined }
}

class JsonReader {
  readonly #where: string
  readonly #text: string
  #at = 0

  constructor(where: string, text: string) {
    this.#where = where
    this.#text = text
  }

  whole(): JsonNode {
    const node = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) throw this.#fail('something follows the document')
    return node
  }

  #value(depth: number): JsonNode {
    this.#space()
    if (depth > limits.documentDepth) throw this.#fail(`nested more than ${limits.documentDepth} deep`)
    const at = this.#place()
    const c = this.#text[this.#at]
    if (c === '{') return { type: 'object', at, members: this.#members(depth) }
    if (c === '[') return { type: 'list', at, items: this.#items(depth) }
    if (c === '"') return { type: 'text', at, value: this.#string() }
    const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/.exec(
      this.#text.slice(this.#at, this.#at + 64),
    )?.[0]
    if (word === undefined)
      throw this.#fail(c === undefined ? 'the document ends too early' : `unexpected ${JSON.stringify(c)}`)
    this.#at += word.length
    return { type: 'other', at, value: JSON.parse(word) }
  }

  #members(depth: number): Map<string, JsonMember> {
    const members = new Map<string, JsonMember>()
    this.#at++
    if (this.#next('}')) return members
    do {
      this.#space()
      const at = this.#place()
      if (this.#text[this.#at] !== '"') throw this.#fail('expected a name in quotation marks')
      const name = this.#string()
      if (members.has(name)) throw this.#fail(`${JSON.stringify(name)} stands here twice`, at)
      if (!this.#next(':')) throw this.#fail('expected ":"')
      members.set(name, { at, node: this.#value(depth + 1) })
    } while (this.#next(','))
    if (!this.#next('}')) throw this.#fail('expected "," or "}"')
    return members
  }

  #items(depth: number): JsonNode[] {
    const items: JsonNode[] = []
    this.#at++
    if (this.#next(']')) return items
    do items.push(this.#value(depth + 1))
    while (this.#next(','))
    if (!this.#next(']')) throw this.#fail('expected "," or "]"')
    return items
  }

  #string(): string {
    const start = this.#at
    const literal = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
    literal.lastIndex = start
    const found = literal.exec(this.#text)?.[0]
    if (found === undefined) throw this.#fail('the text is not closed, or holds what must be escaped')
    this.#at = start + found.length
    return JSON.parse(found)
  }

  /** Passes over white space, and over the character if it stands there. */
  #next(character: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at++
  }

  #line = 1
  #lineStart = 0
  #counted = 0

  /** Places are asked for in ascending order, so that lines are counted once. */
  #place(): JsonPlace {
    for (
      let at = this.#text.indexOf('\n', this.#counted);
      at !== -1 && at < this.#at;
      at = this.#text.indexOf('\n', at + 1)
    ) {
      this.#line++
      this.#lineStart = at + 1
      this.#counted = at + 1
    }
    return { line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #fail(reason: string, at: JsonPlace = this.#place()): ClientCertConfigError {
    return new ClientCertConfigError(
      `${this.#where}: line ${at.line}, column ${at.column}: ${reason} — it must be JSON (RFC 8259)`,
    )
  }
}
