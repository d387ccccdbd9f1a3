// What a page is told by its address: where to send to, with which key, and the calls.
const told = new URLSearchParams(location.search)
export const key = told.get('key')
export const url = told.get('url')
export const mode = told.get('mode')
export const calls = await (await fetch(`/calls/${key}.json`)).json()
