/** The channels of node:diagnostics_channel: one table of names and types, which the README shows. */
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { beforeAll, describe, expect, test } from '@jest/globals'
import ts from 'typescript-5.9'
import { addressOf, channelNames } from '../src/event-channels.js'
import { channels, type MtlsIdentityChannels, type ReloadEvent } from '../src/index.js'
import { publishReload } from '../src/reload-events.js'

const repository = join(import.meta.dirname, '..')
const names = Object.values(channelNames)

/** Fields and words of each channel's events, as the compiler knows them. */
const known = new Map<string, { fields: Set<string>; words: Set<string> }>()
beforeAll(() => {
  const file = join(repository, 'src/channels.ts')
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
  })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(file) as ts.SourceFile
  const map = source.statements.find(
    (each): each is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(each) && each.name.text === 'MtlsIdentityChannels',
  ) as ts.InterfaceDeclaration
  for (const member of checker.getTypeAtLocation(map).getProperties()) {
    const event = checker.getTypeOfSymbol(member)
    const [fields, words] = [new Set<string>(), new Set<string>()]
    for (const part of event.isUnion() ? event.types : [event]) {
      for (const field of checker.getPropertiesOfType(part)) {
        fields.add(field.name)
        // A code is one of the error table's, and that has a table of its own.
        if (field.name === 'code') continue
        const type = checker.getTypeOfSymbol(field)
        for (const word of type.isUnion() ? type.types : [type]) if (word.isStringLiteral()) words.add(word.value)
      }
    }
    known.set(member.name, { fields, words })
  }
})

/** The rows of the table: channel, when, fields. */
function rows(readme: string): Map<string, { fields: Set<string>; words: Set<string> }> {
  const section = readme.split('\n## Events\n')[1]?.split('\n## ')[0] ?? ''
  return new Map(
    [...section.matchAll(/^\| `([\w:-]+)` \| .*? \| (.*) \|$/gm)].map(([, name = '', cell = '']) => {
      const spans = [...cell.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span)
      const words = spans.filter((span) => span.startsWith("'")).map((span) => span.slice(1, -1))
      return [name, { fields: new Set(spans.filter((span) => !span.startsWith("'"))), words: new Set(words) }]
    }),
  )
}

const readme = readFileSync(join(repository, 'README.md'), 'utf8')

describe('the table of channels', () => {
  test('the README has each channel, and of each the fields and words its type has, no more and no fewer', () => {
    expect([...known.keys()].sort()).toEqual([...names].sort())
    const shown = rows(readme)
    expect([...shown.keys()].sort()).toEqual([...names].sort())
    for (const [name, { fields, words }] of known) {
      expect([name, [...(shown.get(name)?.fields ?? [])].sort()]).toEqual([name, [...fields].sort()])
      expect([name, [...(shown.get(name)?.words ?? [])].sort()]).toEqual([name, [...words].sort()])
    }
  })

  test('a field that is missing there, or is there only, would be found', () => {
    const table = "\n## Events\n\n| `mtls-identity:x` | now | `a`, `b`: `'one'` or `'two'` |\n\n## Next"
    expect(rows(table)).toEqual(
      new Map([['mtls-identity:x', { fields: new Set(['a', 'b']), words: new Set(['one', 'two']) }]]),
    )
    expect(known.get('mtls-identity:connection')).toEqual({
      fields: new Set(['outcome', 'resumed', 'protocol', 'code', 'address']),
      words: new Set(['refused', 'no-certificate', 'certificate']),
    })
  })

  test('no other file writes the name of a channel, or opens one by itself', () => {
    const elsewhere = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'event-channels.ts' && file !== 'channels.ts')
      .map((file) => [file, readFileSync(join(repository, 'src', file), 'utf8')] as const)
    expect(elsewhere.length).toBeGreaterThan(100)
    const found = elsewhere.filter(
      ([, text]) => /'mtls-identity:\w/.test(text) || /from 'node:diagnostics_channel'/.test(text),
    )
    expect(found.map(([file]) => file)).toEqual([])
  })

  test('the channels are those of node:diagnostics_channel by the same names', () => {
    expect(Object.keys(channels)).toEqual(Object.keys(channelNames))
    for (const [key, name] of Object.entries(channelNames)) {
      expect(channels[key as keyof typeof channels]).toBe(channel(name))
      expect(channels[key as keyof typeof channels].name).toBe(name)
    }
  })

  test('who subscribes by name and who subscribes by the object hear the same event, and stop when they say so', () => {
    const heard: unknown[] = []
    const byName = (event: unknown) => heard.push(['name', event])
    const byObject = (event: MtlsIdentityChannels['mtls-identity:reload']) => heard.push(['object', event])
    const event: ReloadEvent = { kind: 'rules', source: 'x', stale: false, ok: true, generation: 1 }
    subscribe(channelNames.reload, byName)
    channels.reload.subscribe(byObject)
    publishReload(event)
    expect([unsubscribe(channelNames.reload, byName), channels.reload.unsubscribe(byObject)]).toEqual([true, true])
    expect(channels.reload.unsubscribe(byObject)).toBe(false)
    publishReload(event)
    expect(heard).toEqual([
      ['name', event],
      ['object', event],
    ])
    expect(channels.reload.hasSubscribers).toBe(false)
  })
})

test('a peer is written in one way: IPv4 as IPv4, IPv6 as RFC 5952 has it, a zone as it is', () => {
  const written = ['10.0.3.7', '::ffff:10.0.3.7', '2001:DB8:0:0::1', 'fe80::1%eth0', undefined].map(addressOf)
  expect(written).toEqual(['10.0.3.7', '10.0.3.7', '2001:db8::1', 'fe80::1%eth0', undefined])
})

describe('O-05: a listener that throws', () => {
  /** In a thread of its own, because what it throws ends what does not handle it. */
  async function withListener(handles: boolean) {
    const program = `
      const { channel } = require('node:diagnostics_channel')
      const { parentPort, workerData } = require('node:worker_threads')
      const events = channel('mtls-identity:decision')
      if (workerData.handles) process.on('uncaughtException', (error) => parentPort.postMessage('uncaught ' + error.message))
      events.subscribe(() => { throw new Error('x') })
      events.subscribe(() => parentPort.postMessage('next listener'))
      events.publish({})
      parentPort.postMessage('published')
      setTimeout(() => parentPort.postMessage('alive'), 50)`
    const worker = new Worker(program, { eval: true, workerData: { handles } })
    const heard: string[] = []
    worker.on('message', (message) => heard.push(message))
    worker.on('error', (error) => heard.push(`ended: ${(error as Error).message}`))
    await once(worker, 'exit').catch(() => {})
    return heard
  }

  test('does not keep the next one from hearing, nor the publisher from going on; Node throws it again as uncaught', async () => {
    expect(await withListener(true)).toEqual(['next listener', 'published', 'uncaught x', 'alive'])
  })

  test('ends what does not handle that, as the README says', async () => {
    expect((await withListener(false)).at(-1)).toBe('ended: x')
    expect(readme.replace(/\s+/g, ' ')).toContain('A listener that throws ends the process')
  })
})
