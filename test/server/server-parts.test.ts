/** Parts of superviseServer() that real sockets take too long to show. */
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { bugsOf, nodeBugs } from '../../src/server/node-versions.js'
import { admit } from '../../src/server/open-connections.js'
import { filterEvents } from '../../src/server/server-emit.js'
import { versionWarning } from '../../src/server/server-start-checks.js'

describe('Node’s known bugs with client certificates', () => {
  const ids = (version: string) => bugsOf(version).map(({ id }) => id)
  const [resumed, contexts, capitals, callbacks, chain] = nodeBugs.map(({ id }) => id)

  test.each<[string, (string | undefined)[]]>([
    ['20.19.0', [resumed, contexts, capitals, callbacks]],
    ['20.20.1', [resumed, contexts, capitals, callbacks]],
    ['20.20.2', [resumed, contexts, capitals]],
    ['22.21.1', [resumed, contexts, capitals, callbacks]],
    ['22.22.2', [resumed, contexts, capitals]],
    ['22.23.3', [resumed]],
    ['24.16.0', [resumed, contexts, capitals]],
    ['24.20.0', [resumed]],
    ['24.21.0', [chain]],
    ['24.22.0', []],
    ['26.0.0', [resumed, contexts, capitals]],
    ['26.7.0', [resumed]],
    ['26.8.0-alpha.0.0.0', [chain]],
    ['26.8.2', [chain]],
    ['26.9.0', []],
    ['26.10.0', []],
    ['28.0.0', []],
    ['', []],
  ])('%s', (version, wanted) => {
    expect(ids(version)).toEqual(wanted)
  })

  test('the warning says that decisions do not depend on them, and what to do', () => {
    expect(versionWarning('26.10.0')).toBeUndefined()
    expect(versionWarning('26.8.1')).toBe(
      "Node 26.8.1 has known bugs with client certificates, which decisions here do not depend on (nodejs/node#65579: the client's intermediates are lost where OpenSSL trusts it: intermediates:, or ca: []) — update it",
    )
    expect(versionWarning('20.20.2')).toMatch(
      / — a later line has them fixed; until then let nothing read socket\.authorized$/,
    )
  })
})

describe('the door', () => {
  beforeEach(() => {
    jest.useFakeTimers()
  })
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0)
    jest.useRealTimers()
  })

  class Socket extends EventEmitter {
    destroyed = false
    destroy() {
      this.destroyed = true
    }
  }

  test('closes before a connection whose decision does not come within ten seconds, and hears no late one', async () => {
    let decide: (decision: unknown) => void = () => {}
    const auth = { authenticateSocket: () => new Promise((resolve) => (decide = resolve)) }
    const socket = new Socket()
    const passed = jest.fn(() => true)
    const admitted = admit(socket as never, auth as never, undefined, passed)
    await jest.advanceTimersByTimeAsync(limits.connectionDecisionMilliseconds - 1)
    expect(socket.destroyed).toBe(false)
    await jest.advanceTimersByTimeAsync(1)
    await admitted
    decide({ outcome: 'accepted' })
    expect(socket.destroyed).toBe(true)
    expect(passed).not.toHaveBeenCalled()
    socket.emit('error', new Error('after the end'))
  })
})

describe('a filter of events', () => {
  test('leaves what another has put before it since where it is, and lets everything through once it is taken away', () => {
    const server = new EventEmitter()
    const seen: string[] = []
    const remove = filterEvents(server, (event, _, pass) => (event === 'hidden' ? true : pass()))
    const inner = server.emit
    server.emit = (event: string, ...args: unknown[]) => {
      seen.push(`outer ${event}`)
      return inner.call(server, event, ...args)
    }
    server.on('hidden', () => seen.push('hidden'))
    server.on('shown', () => seen.push('shown'))
    server.emit('hidden')
    server.emit('shown')
    remove()
    server.emit('hidden')
    expect(seen).toEqual(['outer hidden', 'outer shown', 'shown', 'outer hidden', 'hidden'])
  })
})
