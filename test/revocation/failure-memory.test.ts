import { expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { FailureMemory } from '../../src/revocation/failure-memory.js'
import { FetchError } from '../../src/revocation/fetch-error.js'

const notFound = new FetchError('status', 'http://a.test/', 'status 404', { status: 404 })
const refused = new FetchError('connect', 'http://a.test/', 'refused', { phase: 'connect' })

test(`R-13: ${limits.fetchFailures} documents and as many hosts are remembered; one more, and the eldest is forgotten`, () => {
  const memory = new FailureMemory(5_000, 4)
  for (let i = 0; i < limits.fetchFailures; i++) {
    memory.failed(`document ${i}`, `host ${i}`, i % 2 === 0 ? notFound : refused, 0)
  }
  expect(memory.recall('document 0', 'host 0', 0)).toBe(notFound)
  expect(memory.recall('', 'host 1', 0)).toBe(refused)
  expect(memory.recall('', 'host 0', 0)).toBeUndefined()
  // Looking at one made it the youngest.
  memory.failed('one more', 'one more', refused, 0)
  expect(memory.recall('document 1', '', 0)).toBeUndefined()
  expect(memory.recall('document 0', '', 0)).toBe(notFound)
  expect(memory.recall('', 'one more', 0)).toBe(refused)
})

test.each(['busy', 'closed', 'internal', 'refused-url', 'refused-host'] as const)('%s is not remembered', (failure) => {
  const memory = new FailureMemory(5_000, 1)
  memory.failed('document', 'host', new FetchError(failure, 'http://a.test/', 'why'), 0)
  expect(memory.recall('document', 'host', 0)).toBeUndefined()
})

test('what is repeated from memory does not prolong it', () => {
  const memory = new FailureMemory(5_000, 1)
  memory.failed('document', 'host', refused, 0)
  memory.failed('document', 'host', new FetchError('connect', 'http://a.test/', 'refused', { remembered: true }), 4_000)
  expect(memory.recall('document', 'host', 4_999)).toBe(refused)
  expect(memory.recall('document', 'host', 5_000)).toBeUndefined()
})

test('an answer is remembered against a failure of its host; not for the document that failed', () => {
  const memory = new FailureMemory(5_000, 1)
  memory.failed('document', 'host', refused, 0)
  memory.succeeded('host')
  expect(memory.recall('another document', 'host', 0)).toBeUndefined()
  expect(memory.recall('document', 'host', 0)).toBe(refused)
})
