(function(){
"use strict";
var d=document,root=d.documentElement,SIZE=200;
function id(i){return d.getElementById(i)}
Array.prototype.forEach.call(d.querySelectorAll(".ctl[hidden]"),function(e){e.hidden=false});
var theme=id("theme");
if(theme)theme.addEventListener("click",function(){
var dark=root.dataset.theme?root.dataset.theme==="dark":matchMedia("(prefers-color-scheme:dark)").matches;
root.dataset.theme=dark?"light":"dark";
});
var filter=id("filter"),block=id("data");
d.addEventListener("keydown",function(e){
if(filter&&e.key==="/"&&!/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)){e.preventDefault();filter.focus()}
if(e.key==="Escape"&&e.target===filter){filter.value="";draw()}
});
if(!block){
if(filter)filter.addEventListener("keydown",function(e){
if(e.key==="Enter"&&filter.value.trim())location.href="index.html#q="+encodeURIComponent(filter.value.trim());
});
return;
}
var body=id("rows"),nav=id("pages"),shown=id("shown"),data=null,texts=null,page=0,SVG="http://www.w3.org/2000/svg",timer=0;
var DIGITS="0123456789abcdefghijklmnopqrstuvwxyz";
function load(){
if(data)return;
data=JSON.parse(block.textContent);
texts=data.rows.map(function(r){
return(r[0]+" "+data.owners[r[1]]+" "+(r[7]?r[7].map(function(f){return data.findings[f[0]]}).join(" ")+" "+r[8]+" "+r[10]:"")).toLowerCase();
});
fill("kind",data.kinds.map(function(k){return k[1]}));
fill("status",data.statuses);
fill("state",data.states.map(function(s){return s[1]||s[0]}));
fill("owner",data.owners,true);
fill("finding",data.findings,true);
}
function fill(name,words,sorted){
var at=id(name),order=words.map(function(w,i){return i});
if(sorted)order.sort(function(a,b){return words[a]<words[b]?-1:1});
order.forEach(function(i){
var o=d.createElement("option");o.value=i;o.textContent=words[i]||"(none)";at.appendChild(o);
});
}
function make(name,cls,text){
var e=d.createElement(name);if(cls)e.className=cls;if(text!==undefined)e.textContent=text;return e;
}
function svg(name,attributes){
var e=d.createElementNS(SVG,name);for(var k in attributes)e.setAttribute(k,attributes[k]);return e;
}
function tag(state){
var s=data.states[state];
return s[1]?make("b","tag t-"+s[0],s[1]):null;
}
function spark(text){
if(!text||!/[^-]/.test(text))return null;
var path="",pen=false;
for(var i=0;i<text.length;i++){
var v=DIGITS.indexOf(text[i]);
if(v<0){pen=false;continue}
path+=(pen?"L":"M")+(2+i*4)+" "+(20-(v>>1));pen=true;
}
var s=svg("svg",{"class":"sp",width:112,height:22,viewBox:"0 0 112 22","aria-hidden":"true"});
s.appendChild(svg("path",{"class":"c0",fill:"none","stroke-width":1.5,d:path}));
var gap=text.indexOf("-");
if(gap>=0)s.appendChild(svg("path",{"class":"gp",d:"M"+(2+gap*4)+" 2V20"}));
return s;
}
function two(n){return n<10?"0"+n:""+n}
function time(minutes){
if(!minutes)return"";
var t=new Date(minutes*6e4);
return t.getUTCFullYear()+"-"+two(t.getUTCMonth()+1)+"-"+two(t.getUTCDate())+" "+two(t.getUTCHours())+":"+two(t.getUTCMinutes());
}
function row(r){
var tr=d.createElement("tr"),kind=data.kinds[r[2]],shape=kind[0]==="failed"?"unreadable":kind[0];
var v=make("td","v v-"+shape),ic=svg("svg",{"class":"ic i-"+shape,width:16,height:16,"aria-hidden":"true"});
ic.appendChild(svg("use",{href:"#k-"+shape}));v.appendChild(ic);v.appendChild(d.createTextNode(" "+kind[1]));tr.appendChild(v);
var th=make("th");th.scope="row";
var at=th;
if(r[5]){at=make("a","");at.href="runs/"+r[5];th.appendChild(at)}
r[0].split("/").forEach(function(part,i){
if(i){at.appendChild(d.createTextNode("/"));at.appendChild(make("wbr"))}
at.appendChild(d.createTextNode(part));
});
if(data.owners[r[1]])th.appendChild(make("span","hd",data.owners[r[1]]));
tr.appendChild(th);
var nx=make("td","nx"),found=r[7]||[];
if(r[10])nx.appendChild(make("p","wh",r[10]));
if(found.length){
var p=make("p","wh",r[8]),t=tag(found[0][1]),state=data.states[found[0][1]][0];
if(t){p.appendChild(d.createTextNode(" "));p.appendChild(t)}
nx.appendChild(p);
if(r[9]&&state!=="fixed"&&state!=="muted")nx.appendChild(make("p","ac","Do first: "+r[9]));
if(found.length>1){
var also=make("p","ac","Also ");
found.slice(1).forEach(function(f,i){
also.appendChild(d.createTextNode((i?", ":"")+data.findings[f[0]]));
var t=tag(f[1]);if(t){also.appendChild(d.createTextNode(" "));also.appendChild(t)}
});
nx.appendChild(also);
}
}
tr.appendChild(nx);
var sp=make("td","spk"),s=spark(r[6]);if(s)sp.appendChild(s);tr.appendChild(sp);
var st=data.statuses[r[3]];tr.appendChild(make("td","st s-"+st,st));
tr.appendChild(make("td","num",time(r[4])));
return tr;
}
function choose(){
var want=(filter?filter.value:"").trim().toLowerCase().split(/\s+/).filter(Boolean);
var k=id("kind").value,s=id("status").value,o=id("owner").value,f=id("finding").value,h=id("state").value,out=[];
data.rows.forEach(function(r,i){
if(k!==""&&r[2]!==+k||s!==""&&r[3]!==+s||o!==""&&r[1]!==+o)return;
if((f!==""||h!=="")&&!(r[7]||[]).some(function(x){return(f===""||x[0]===+f)&&(h===""||x[1]===+h)}))return;
for(var j=0;j<want.length;j++)if(texts[i].indexOf(want[j])<0)return;
out.push(i);
});
var by=id("sort").value,rows=data.rows;
if(by){
var key=by==="name"?function(r){return r[0]}:by==="owner"?function(r){return data.owners[r[1]]}:function(r){return-r[4]};
out.sort(function(a,b){var x=key(rows[a]),y=key(rows[b]);return x<y?-1:x>y?1:a-b});
}
return out;
}
function draw(){
load();
var list=choose(),pages=Math.max(1,Math.ceil(list.length/SIZE));
page=Math.min(page,pages-1);
var part=d.createDocumentFragment();
list.slice(page*SIZE,(page+1)*SIZE).forEach(function(i){part.appendChild(row(data.rows[i]))});
body.textContent="";body.appendChild(part);
shown.textContent=list.length.toLocaleString("en-US")+" of "+data.rows.length.toLocaleString("en-US")+" runs";
if(!nav){nav=make("nav","pg");nav.setAttribute("aria-label","Pages");body.parentNode.parentNode.parentNode.appendChild(nav)}
nav.textContent="";
if(pages>1)for(var n=0;n<pages;n++)(function(n){
var b=make("button","",""+(n+1));b.type="button";
if(n===page)b.setAttribute("aria-current","page");
b.addEventListener("click",function(){page=n;draw();id("runs").scrollIntoView()});
nav.appendChild(b);
})(n);
}
function again(){page=0;clearTimeout(timer);timer=setTimeout(draw,60)}
["kind","state","status","owner","finding","sort"].forEach(function(n){id(n).addEventListener("change",function(){page=0;draw()})});
if(filter)filter.addEventListener("input",again);
id("bar").addEventListener("submit",function(e){e.preventDefault()});
id("bar").addEventListener("pointerover",load,{once:true});
id("bar").addEventListener("focusin",load,{once:true});
if(location.hash.indexOf("#q=")===0&&filter){filter.value=decodeURIComponent(location.hash.slice(3));draw();id("runs").scrollIntoView()}
})();
