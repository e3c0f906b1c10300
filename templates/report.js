(function(){
"use strict";
var d=document,root=d.documentElement;
function all(s,e){return Array.prototype.slice.call((e||d).querySelectorAll(s))}
all("[hidden].ctl,[hidden].cp").forEach(function(e){e.hidden=false});
var theme=d.getElementById("theme");
if(theme)theme.addEventListener("click",function(){
var dark=root.dataset.theme?root.dataset.theme==="dark":matchMedia("(prefers-color-scheme:dark)").matches;
root.dataset.theme=dark?"light":"dark";
});
var filter=d.getElementById("filter");
if(filter){
var items=all("[data-f]");
filter.addEventListener("input",function(){
var want=filter.value.trim().toLowerCase();
items.forEach(function(e){e.classList.toggle("off",want!==""&&e.textContent.toLowerCase().indexOf(want)<0)});
});
d.addEventListener("keydown",function(e){
if(e.key==="/"&&!/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)){e.preventDefault();filter.focus()}
if(e.key==="Escape"&&e.target===filter){filter.value="";filter.dispatchEvent(new Event("input"))}
});
}
function copied(b){var t=b.textContent;b.textContent="Copied";setTimeout(function(){b.textContent=t},1200)}
function select(e){var r=d.createRange();r.selectNodeContents(e);var s=getSelection();s.removeAllRanges();s.addRange(r)}
all("[data-copy]").forEach(function(b){b.addEventListener("click",function(){
var e=d.getElementById(b.dataset.copy),text=e.textContent.trim();
function old(){select(e);if(d.execCommand("copy"))copied(b)}
if(navigator.clipboard)navigator.clipboard.writeText(text).then(function(){copied(b)},old);else old();
})});
function reveal(){
var e=location.hash.length>1&&d.getElementById(decodeURIComponent(location.hash.slice(1)));
for(var p=e;p&&p!==d;p=p.parentNode)if(p.tagName==="DETAILS")p.open=true;
if(e)e.scrollIntoView();
}
addEventListener("hashchange",reveal);if(location.hash)reveal();
var block=d.getElementById("tbdiag-report"),loading=null;
function report(){
if(!loading)loading=Promise.resolve(JSON.parse(block.textContent)).then(function(r){
if(!r.encoding)return r;
var bytes=Uint8Array.from(atob(r.data),function(c){return c.charCodeAt(0)});
return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
});
return loading;
}
var tip=null,hair=null;
function number(v){
if(v===null)return"not finite";
if(v!==0&&(Math.abs(v)<1e-4||Math.abs(v)>=1e7))return v.toExponential().replace("e+","e");
return v.toLocaleString("en-US",{maximumSignificantDigits:7});
}
function lines(svg,r){
if(!svg._lines)svg._lines=svg.dataset.c.split(" ").map(function(k){
var i=k.split(":");return r.runs[+i[0]].curves[+i[1]];
}).filter(Boolean);
return svg._lines;
}
function nearest(a,x){
var lo=0,hi=a.length-1;
while(hi-lo>1){var m=(lo+hi)>>1;if(a[m]<x)lo=m;else hi=m}
return Math.abs(a[lo]-x)<=Math.abs(a[hi]-x)?lo:hi;
}
function show(svg,want){report().then(function(r){
var cs=lines(svg,r),X=svg.dataset.x.split(" ").map(Number),step=null;
cs.forEach(function(c){if(!c.steps.length)return;var s=c.steps[nearest(c.steps,want)];if(step===null||Math.abs(s-want)<Math.abs(step-want))step=s});
if(step===null)return;
svg._step=step;
var text=cs[0].axis.replace("_"," ")+" "+step.toLocaleString("en-US");
cs.forEach(function(c){var i=nearest(c.steps,step);
text+="\n"+c.tag+"  "+number(c.values[i])+(c.steps[i]===step?"":" at "+c.steps[i].toLocaleString("en-US"))});
if(!tip){tip=d.createElement("div");tip.id="tip";tip.setAttribute("role","status");d.getElementById("main").appendChild(tip)}
tip.hidden=false;tip.textContent=text;
if(hair)hair.remove();
var px=X[2]+(step-X[0])/(X[1]-X[0])*(X[3]-X[2]),Y=svg.dataset.y.split(" ");
hair=d.createElementNS("http://www.w3.org/2000/svg","path");
hair.setAttribute("class","cx");hair.setAttribute("d","M"+px+" "+Y[2]+"V"+Y[3]);svg.appendChild(hair);
var box=svg.getBoundingClientRect(),left=box.left+px*box.width/svg.viewBox.baseVal.width+12;
if(left+tip.offsetWidth>root.clientWidth-4)left=Math.max(4,left-tip.offsetWidth-24);
tip.setAttribute("data-step",step);
tip.style.left=left+scrollX+"px";tip.style.top=box.top+scrollY+14+"px";
})}
function hide(){if(tip)tip.hidden=true;if(hair){hair.remove();hair=null}}
if(block)all("svg[data-c]").forEach(function(svg){
function at(e){
var box=svg.getBoundingClientRect(),X=svg.dataset.x.split(" ").map(Number);
var px=(e.clientX-box.left)*svg.viewBox.baseVal.width/box.width;
show(svg,X[0]+(px-X[2])/(X[3]-X[2])*(X[1]-X[0]));
}
svg.addEventListener("pointermove",at);svg.addEventListener("pointerdown",at);
svg.addEventListener("pointerleave",hide);svg.addEventListener("blur",hide);
if(svg.closest(".card"))svg.tabIndex=0;
svg.addEventListener("keydown",function(e){
var way=e.key==="ArrowRight"?1:e.key==="ArrowLeft"?-1:0;
if(e.key==="Escape")hide();
if(!way)return;
e.preventDefault();
report().then(function(r){
var steps=[];lines(svg,r).forEach(function(c){steps=steps.concat(c.steps)});
steps.sort(function(a,b){return a-b});
var now=svg._step===undefined?null:svg._step;
var next=now===null?steps[0]:way>0?steps.find(function(s){return s>now}):steps.reverse().find(function(s){return s<now});
show(svg,next===undefined?now:next);
});
});
});
})();
